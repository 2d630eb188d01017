"""Idempotency keys: a request that is sent again is carried out once."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# Hours until a key is free again. A client that retries does so within minutes.
KEPT_HOURS = 24


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """The request that a key came with first, and what it made."""

    request_hash: bytes
    # `job` or `catalog`, and its id.
    resource_kind: str
    resource_id: UUID


_CLAIM = text("""
INSERT INTO idempotency_keys (tenant_id, key, request_hash, resource_kind, resource_id, created_at)
VALUES (:tenant_id, :key, :request_hash, :resource_kind, :resource_id, clock_timestamp())
ON CONFLICT (tenant_id, key) DO UPDATE SET request_hash = excluded.request_hash,
    resource_kind = excluded.resource_kind, resource_id = excluded.resource_id,
    created_at = excluded.created_at
WHERE idempotency_keys.created_at < clock_timestamp() - make_interval(hours => :hours)
RETURNING resource_id
""")

_FIND = text("""
SELECT request_hash, resource_kind, resource_id FROM idempotency_keys
WHERE tenant_id = :tenant_id AND key = :key
AND created_at >= clock_timestamp() - make_interval(hours => :hours)
""")

_PURGE = text("""
DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (
    SELECT tenant_id, key FROM idempotency_keys
    WHERE created_at < clock_timestamp() - make_interval(hours => :hours) LIMIT :limit)
""")


def find(session: Session, tenant_id: UUID, key: str) -> KeptRequest | None:
    """Return the request that the tenant's `key` came with, None when the key is free."""
    row = session.execute(
        _FIND, {"tenant_id": tenant_id, "key": key, "hours": KEPT_HOURS}
    ).one_or_none()
    return None if row is None else KeptRequest(bytes(row[0]), row[1], row[2])


def claim(session: Session, tenant_id: UUID, key: str, request: KeptRequest) -> KeptRequest | None:
    """Take `key` for `request`, in the transaction that writes the resource.

    Returns None when it was taken now, else the request that holds it. Of transactions that claim
    one key at the same time the others wait here for the first: if it commits they get its
    request, if it fails the next one takes the key.
    """
    values = {
        "tenant_id": tenant_id,
        "key": key,
        "request_hash": request.request_hash,
        "resource_kind": request.resource_kind,
        "resource_id": request.resource_id,
        "hours": KEPT_HOURS,
    }
    while session.execute(_CLAIM, values).one_or_none() is None:
        # Not there: a purge took the expired row away between the two statements.
        if holder := find(session, tenant_id, key):
            return holder
    return None


def purge(session: Session, limit: int = 10_000) -> int:
    """Delete up to `limit` keys that are free again; returns how many."""
    result = session.execute(_PURGE, {"hours": KEPT_HOURS, "limit": limit})
    return int(result.rowcount)  # type: ignore[attr-defined]  # CursorResult of a DELETE
