"""Tenants and API keys."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.contracts.scopes import Scope
from shared.db.models import ApiKey, Tenant

KEY_START = "apd_"
_PREFIX_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: the tenant, the key and what it may do."""

    tenant_id: UUID
    key_id: UUID
    scopes: frozenset[Scope]
    # Limits of the tenant alone; None takes the gateway's setting, 0 is no limit.
    requests_per_minute: int | None = None
    max_open_images: int | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the key carries `scope` (`admin` carries all)."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as listings show it."""

    id: UUID
    tenant: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    # Whether the database's clock has passed `expires_at`.
    expired: bool


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key: the one time that it can be read."""

    key: str
    info: KeyInfo


def hash_key(key: str) -> bytes:
    """Return the SHA-256 under which `key` is stored."""
    return hashlib.sha256(key.encode()).digest()


def get_or_create_tenant(session: Session, name: str) -> UUID:
    """Return the id of the tenant called `name`, made when missing."""
    session.execute(insert(Tenant).values(name=name).on_conflict_do_nothing())
    return session.execute(select(Tenant.id).where(Tenant.name == name)).scalar_one()


def create_key(session: Session, tenant_id: UUID, name: str, scopes: Sequence[Scope]) -> str:
    """Store a new key's hash and return the key, which cannot be read again later."""
    return issue_key(session, tenant_id, name, scopes).key


def issue_key(
    session: Session,
    tenant_id: UUID,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
) -> IssuedKey:
    """As `create_key`, with a time from which the key is refused, and what listings show of it."""
    key = KEY_START + secrets.token_urlsafe(32)
    row = ApiKey(
        tenant_id=tenant_id,
        name=name,
        prefix=key[:_PREFIX_LENGTH],
        key_hash=hash_key(key),
        scopes=[scope.value for scope in scopes],
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    info = get_key(session, tenant_id, row.id)
    if info is None:
        raise LookupError("the key just inserted is not there")
    return IssuedKey(key, info)


def authenticate(session: Session, key: str) -> Principal | None:
    """Return whose `key` it is, or None when it is unknown, revoked or expired.

    Notes the use, once a minute.
    """
    row = session.execute(
        select(
            ApiKey.id,
            ApiKey.tenant_id,
            ApiKey.scopes,
            Tenant.requests_per_minute,
            Tenant.max_open_images,
            _stale_use(),
        )
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .where(ApiKey.key_hash == hash_key(key), _active())
    ).one_or_none()
    if row is None:
        return None
    key_id, tenant_id, scopes, requests_per_minute, max_open_images, stale = row
    if stale:
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id, _stale_use()).values(last_used_at=func.now())
        )
    return Principal(
        tenant_id,
        key_id,
        frozenset(Scope(scope) for scope in scopes),
        requests_per_minute,
        max_open_images,
    )


def _stale_use() -> ColumnElement[bool]:
    return or_(
        ApiKey.last_used_at.is_(None),
        ApiKey.last_used_at < func.now() - text("interval '1 minute'"),
    )


def _expired() -> ColumnElement[bool]:
    # Statement time: `now()` stands still while a transaction waits.
    return func.coalesce(ApiKey.expires_at <= func.statement_timestamp(), false())


def _active() -> ColumnElement[bool]:
    return and_(ApiKey.revoked_at.is_(None), not_(_expired()))


def list_keys(
    session: Session, tenant_id: UUID | None = None, active_only: bool = False
) -> list[KeyInfo]:
    """Return the keys of one tenant or of all, oldest first."""
    query = _infos().order_by(ApiKey.created_at, ApiKey.id)
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    if active_only:
        query = query.where(_active())
    return [KeyInfo(*row) for row in session.execute(query)]


def get_key(session: Session, tenant_id: UUID, key_id: UUID) -> KeyInfo | None:
    """Return the tenant's key, or None when it has none with this id."""
    query = _infos().where(ApiKey.id == key_id, ApiKey.tenant_id == tenant_id)
    row = session.execute(query).one_or_none()
    return None if row is None else KeyInfo(*row)


def _infos() -> Select[*tuple[Any, ...]]:
    return select(
        ApiKey.id,
        Tenant.name,
        ApiKey.name,
        ApiKey.prefix,
        ApiKey.scopes,
        ApiKey.created_at,
        ApiKey.last_used_at,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        _expired(),
    ).join(Tenant, Tenant.id == ApiKey.tenant_id)


def revoke_key(session: Session, key_id: UUID, tenant_id: UUID | None = None) -> bool:
    """Refuse the key from now on; return False when it does not exist or was revoked before.

    With `tenant_id`, a key of another tenant does not exist.
    """
    query = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    revoked = session.execute(query.values(revoked_at=func.now()).returning(ApiKey.id))
    return revoked.one_or_none() is not None


def rotate_key(
    session: Session, key_id: UUID, grace: timedelta, tenant_id: UUID | None = None
) -> IssuedKey | None:
    """Issue a successor of the key; the key itself is refused when `grace` has passed.

    The successor has the same name, scopes and time of expiry, so that rotating extends nothing.
    Returns None when the key does not exist, is revoked or has expired; with `tenant_id`, a key of
    another tenant does not exist.
    """
    query = select(ApiKey).where(ApiKey.id == key_id, _active()).with_for_update()
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    old = session.execute(query).scalar_one_or_none()
    if old is None:
        return None
    scopes = [Scope(scope) for scope in old.scopes]
    issued = issue_key(session, old.tenant_id, old.name, scopes, old.expires_at)
    # LEAST leaves nulls out: the grace never prolongs a key that would end before.
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(expires_at=func.least(ApiKey.expires_at, func.statement_timestamp() + grace))
    )
    return issued
