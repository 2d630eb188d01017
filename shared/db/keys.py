"""Tenants and API keys."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, update
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

    def may(self, scope: Scope) -> bool:
        """Return whether the key carries `scope` (`admin` carries all)."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def hash_key(key: str) -> bytes:
    """Return the SHA-256 under which `key` is stored."""
    return hashlib.sha256(key.encode()).digest()


def get_or_create_tenant(session: Session, name: str) -> UUID:
    """Return the id of the tenant called `name`, made when missing."""
    session.execute(insert(Tenant).values(name=name).on_conflict_do_nothing())
    return session.execute(select(Tenant.id).where(Tenant.name == name)).scalar_one()


def create_key(session: Session, tenant_id: UUID, name: str, scopes: Sequence[Scope]) -> str:
    """Store a new key's hash and return the key, which cannot be read again later."""
    key = KEY_START + secrets.token_urlsafe(32)
    session.add(
        ApiKey(
            tenant_id=tenant_id,
            name=name,
            prefix=key[:_PREFIX_LENGTH],
            key_hash=hash_key(key),
            scopes=[scope.value for scope in scopes],
        )
    )
    session.flush()
    return key


def authenticate(session: Session, key: str) -> Principal | None:
    """Return whose `key` it is, or None when unknown or revoked; notes the use once a minute."""
    row = session.execute(
        select(ApiKey.id, ApiKey.tenant_id, ApiKey.scopes, _stale_use()).where(
            ApiKey.key_hash == hash_key(key), ApiKey.revoked_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        return None
    key_id, tenant_id, scopes, stale = row
    if stale:
        session.execute(
            update(ApiKey).where(ApiKey.id == key_id, _stale_use()).values(last_used_at=func.now())
        )
    return Principal(tenant_id, key_id, frozenset(Scope(scope) for scope in scopes))


def _stale_use() -> ColumnElement[bool]:
    return or_(
        ApiKey.last_used_at.is_(None),
        ApiKey.last_used_at < func.now() - text("interval '1 minute'"),
    )


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
    revoked_at: datetime | None


def list_keys(session: Session) -> list[KeyInfo]:
    """Return every key, oldest first."""
    rows = session.execute(
        select(
            ApiKey.id,
            Tenant.name,
            ApiKey.name,
            ApiKey.prefix,
            ApiKey.scopes,
            ApiKey.created_at,
            ApiKey.last_used_at,
            ApiKey.revoked_at,
        )
        .join(Tenant, Tenant.id == ApiKey.tenant_id)
        .order_by(ApiKey.created_at, ApiKey.id)
    )
    return [KeyInfo(*row) for row in rows]


def revoke_key(session: Session, key_id: UUID) -> bool:
    """Refuse the key from now on; return False when it does not exist or was revoked before."""
    revoked = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(ApiKey.id)
    )
    return revoked.one_or_none() is not None
