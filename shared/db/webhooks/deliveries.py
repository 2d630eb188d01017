"""Deliveries on their way: claimed, settled, and put back on their way (G3). All SQL of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.contracts.tasks import CHANNEL_WEBHOOK_DUE
from shared.db.models import WebhookDelivery, WebhookEvent


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process attempts until `lease_expires_at`."""

    id: UUID
    event_id: UUID
    endpoint_id: UUID
    tenant_id: UUID
    # Where the endpoint of a `webhook_url` is nobody's: it is never disabled.
    is_default: bool
    url: str
    # Attempts made before this one.
    attempts: int
    lease_expires_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What one request came to; `error` is None when it was received."""

    status_code: int | None
    latency_ms: float
    response_body: str | None
    error: str | None


# Endpoints locked by another dispatcher's claim are skipped for this moment, so the limit on
# leases of one endpoint holds across processes. Few endpoints have something due at a time; of each
# only as many rows are read as it may have leases.
_CLAIM = text("""
WITH endpoint AS (
    SELECT e.id, e.url, e.is_default FROM webhook_endpoints e
    WHERE e.status = 'enabled' AND EXISTS (
        SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.status = 'pending'
        AND d.next_attempt_at <= clock_timestamp())
    FOR NO KEY UPDATE SKIP LOCKED),
roomy AS (
    SELECT endpoint.*, greatest(0, :per_endpoint - (
        SELECT count(*) FROM webhook_deliveries d
        WHERE d.endpoint_id = endpoint.id AND d.lease_expires_at > clock_timestamp())) AS room
    FROM endpoint),
due AS (
    SELECT found.id, roomy.url, roomy.is_default FROM roomy, LATERAL (
        SELECT d.id, d.next_attempt_at FROM webhook_deliveries d
        WHERE d.endpoint_id = roomy.id AND d.status = 'pending'
        AND d.next_attempt_at <= clock_timestamp()
        ORDER BY d.next_attempt_at LIMIT roomy.room FOR UPDATE SKIP LOCKED) AS found
    ORDER BY found.next_attempt_at LIMIT :limit),
lease AS (SELECT clock_timestamp() + make_interval(secs => :lease_seconds) AS ends_at)
UPDATE webhook_deliveries d
SET lease_expires_at = lease.ends_at, next_attempt_at = lease.ends_at
FROM due, lease WHERE d.id = due.id
RETURNING d.id, d.event_id, d.endpoint_id, d.tenant_id, due.is_default,
    coalesce(d.url, due.url) AS url, d.attempts, d.lease_expires_at
""")


def claim(session: Session, limit: int, per_endpoint: int, lease_seconds: float) -> list[Claimed]:
    """Lease up to `limit` due deliveries, at most `per_endpoint` of one endpoint at a time.

    Commit before attempting. When this process ends meanwhile they are due again after the lease.
    """
    rows = session.execute(
        _CLAIM, {"limit": limit, "per_endpoint": per_endpoint, "lease_seconds": lease_seconds}
    )
    return [Claimed(*row) for row in rows]


def seconds_to_next(session: Session) -> float | None:
    """Return when the next delivery that waits for its time becomes due; None for never."""
    row = session.execute(
        text("""
        SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())
        FROM webhook_endpoints e, LATERAL (
            SELECT d.next_attempt_at FROM webhook_deliveries d
            WHERE d.endpoint_id = e.id AND d.status = 'pending'
            AND d.next_attempt_at > clock_timestamp() ORDER BY d.next_attempt_at LIMIT 1) AS next
        WHERE e.status = 'enabled'
        """)
    ).scalar_one()
    return None if row is None else max(0.0, float(row))


_RECORD = text("""
INSERT INTO webhook_attempts (delivery_id, status_code, latency_ms, response_body, error)
SELECT id, :status_code, :latency_ms, :response_body, :error FROM webhook_deliveries
WHERE id = :id FOR KEY SHARE
""")

# Whatever became of its lease: the receiver has it.
_SUCCEED = text("""
UPDATE webhook_deliveries SET status = 'succeeded', attempts = attempts + 1,
    next_attempt_at = NULL, lease_expires_at = NULL, finished_at = clock_timestamp()
WHERE id = :id AND status <> 'succeeded'
""")

_MEND = text("""
UPDATE webhook_endpoints SET failing_since = NULL WHERE id = :id AND failing_since IS NOT NULL
""")

_FAIL_ENDPOINT = text("""
UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, clock_timestamp())
WHERE id = :id AND NOT is_default
RETURNING extract(epoch FROM clock_timestamp() - failing_since)
""")

_FAIL = text("""
UPDATE webhook_deliveries SET attempts = attempts + 1, lease_expires_at = NULL,
    status = CASE WHEN CAST(:delay AS float8) IS NULL THEN 'failed' ELSE 'pending' END,
    next_attempt_at = clock_timestamp() + make_interval(secs => :delay),
    finished_at = CASE WHEN CAST(:delay AS float8) IS NULL THEN clock_timestamp() END
WHERE id = :id AND status = 'pending' AND lease_expires_at = :lease
""")


def record_success(session: Session, claimed: Claimed, record: AttemptRecord) -> None:
    """Note the attempt and that the delivery is done."""
    session.execute(_MEND, {"id": claimed.endpoint_id})
    _record(session, claimed, record)
    session.execute(_SUCCEED, {"id": claimed.id})


def record_failure(
    session: Session, claimed: Claimed, record: AttemptRecord, delay: float | None
) -> float:
    """Note the attempt; try again in `delay` seconds, or never when it is None.

    Returns the seconds since the endpoint began to fail. When the lease was lost meanwhile, the
    delivery is left to whoever has it now.
    """
    failing = session.execute(_FAIL_ENDPOINT, {"id": claimed.endpoint_id}).scalar_one_or_none()
    _record(session, claimed, record)
    session.execute(_FAIL, {"id": claimed.id, "lease": claimed.lease_expires_at, "delay": delay})
    return 0.0 if failing is None else float(failing)


def _record(session: Session, claimed: Claimed, record: AttemptRecord) -> None:
    session.execute(
        _RECORD,
        {
            "id": claimed.id,
            "status_code": record.status_code,
            "latency_ms": record.latency_ms,
            "response_body": record.response_body,
            "error": record.error,
        },
    )


_WAKE = text("SELECT pg_notify(:channel, '')")

_REPLAY = text("""
UPDATE webhook_deliveries SET status = 'pending', attempts = 0, next_attempt_at = now(),
    lease_expires_at = NULL, finished_at = NULL
WHERE id = :id AND endpoint_id = :endpoint_id
""")

_RECOVER = text("""
INSERT INTO webhook_deliveries (id, event_id, endpoint_id, tenant_id)
SELECT gen_random_uuid(), event.id, endpoint.id, event.tenant_id
FROM webhook_endpoints endpoint JOIN webhook_events event ON event.tenant_id = endpoint.tenant_id
WHERE endpoint.id = :endpoint_id AND event.created_at >= :since
AND event.created_at < coalesce(CAST(:until AS timestamptz), clock_timestamp())
AND event.type <> 'endpoint.test'
AND event.subject->>'webhook_id' IS DISTINCT FROM CAST(endpoint.id AS text)
AND CASE WHEN endpoint.is_default THEN EXISTS (
        SELECT FROM webhook_deliveries d
        WHERE d.event_id = event.id AND d.endpoint_id = endpoint.id)
    ELSE endpoint.events = '{}' OR event.type = ANY(endpoint.events) END
ON CONFLICT (event_id, endpoint_id) DO UPDATE SET status = 'pending', attempts = 0,
    next_attempt_at = now(), lease_expires_at = NULL, finished_at = NULL
WHERE webhook_deliveries.status = 'failed'
RETURNING id
""")


def replay(session: Session, endpoint_id: UUID, delivery_id: UUID) -> bool:
    """Begin the delivery's schedule anew, at once; False when there is no such delivery."""
    found = session.execute(_REPLAY, {"id": delivery_id, "endpoint_id": endpoint_id})
    session.execute(_WAKE, {"channel": CHANNEL_WEBHOOK_DUE})
    return bool(found.rowcount)  # type: ignore[attr-defined]  # CursorResult of an UPDATE


def recover(session: Session, endpoint_id: UUID, since: datetime, until: datetime | None) -> int:
    """Send the endpoint's events of a window that it has not received; returns how many.

    These are failed deliveries, and events that happened while it was disabled or not registered.
    Of a default endpoint only the former: which `webhook_url` it was is known of these alone.
    """
    found = session.execute(_RECOVER, {"endpoint_id": endpoint_id, "since": since, "until": until})
    ids = found.scalars().all()
    session.execute(_WAKE, {"channel": CHANNEL_WEBHOOK_DUE})
    return len(ids)


def send_test(
    session: Session, tenant_id: UUID, endpoint_id: UUID, subject: dict[str, Any]
) -> UUID:
    """Queue an `endpoint.test` event to this endpoint alone, whatever its filter.

    Returns the delivery's id.
    """
    kind = EventType.ENDPOINT_TEST.value
    event = WebhookEvent(tenant_id=tenant_id, type=kind, subject=subject)
    session.add(event)
    session.flush()
    delivery = WebhookDelivery(event_id=event.id, endpoint_id=endpoint_id, tenant_id=tenant_id)
    session.add(delivery)
    session.flush()
    session.execute(_WAKE, {"channel": CHANNEL_WEBHOOK_DUE})
    return delivery.id


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: due deliveries, those that wait for their next attempt, age of the oldest due."""

    due: int
    scheduled: int
    oldest_due_seconds: float


def backlog(session: Session) -> Backlog:
    """Measure what is pending."""
    row = session.execute(
        text("""
        SELECT count(*) FILTER (WHERE d.next_attempt_at <= now()),
            count(*) FILTER (WHERE d.next_attempt_at > now()),
            coalesce(extract(epoch FROM now() - min(d.next_attempt_at)
                FILTER (WHERE d.next_attempt_at <= now())), 0)
        FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
        WHERE d.status = 'pending' AND e.status = 'enabled'
        """)
    ).one()
    return Backlog(int(row[0]), int(row[1]), float(row[2]))


# Ids of events are UUIDv7, so the oldest come first in the primary key's index.
_PURGE = text("""
DELETE FROM webhook_events WHERE id IN (
    SELECT oldest.id FROM (
        SELECT id, created_at FROM webhook_events ORDER BY id LIMIT :limit) AS oldest
    WHERE oldest.created_at < now() - make_interval(secs => :seconds)
    AND NOT EXISTS (SELECT FROM webhook_deliveries d
        WHERE d.event_id = oldest.id AND d.status = 'pending'))
""")

# An event that was fanned out while its endpoint was being disabled.
_END_STRAY = text("""
UPDATE webhook_deliveries d SET status = 'failed', next_attempt_at = NULL,
    finished_at = clock_timestamp()
FROM webhook_endpoints e
WHERE e.id = d.endpoint_id AND e.status = 'disabled' AND d.status = 'pending'
""")


def tidy(session: Session, retention_seconds: float, limit: int = 2000) -> int:
    """Delete events older than that with their deliveries, and secrets that sign no more.

    Returns the number of events deleted, at most `limit`.
    """
    session.execute(_END_STRAY)
    session.execute(text("DELETE FROM webhook_secrets WHERE expires_at < clock_timestamp()"))
    purged = session.execute(_PURGE, {"seconds": retention_seconds, "limit": limit})
    return int(purged.rowcount)  # type: ignore[attr-defined]  # CursorResult of a DELETE
