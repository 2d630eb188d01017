"""Rescue: images whose worker died or whose message was lost go back to the queue (G2)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.tasks import MAX_CHUNK
from shared.db.jobs.results import exhaust
from shared.db.queue.outbox import add_chunks

_EXHAUSTED = text("""
SELECT id FROM images
WHERE status = 'running' AND lease_expires_at < clock_timestamp() AND crashes + 1 >= :max_crashes
LIMIT :limit
""")

_EXPIRED = text("""
UPDATE images SET status = 'queued', lease_id = NULL, lease_expires_at = NULL,
    crashes = crashes + 1, enqueued_at = now()
WHERE id IN (
    SELECT id FROM images
    WHERE status = 'running' AND lease_expires_at < clock_timestamp() AND crashes + 1 < :max_crashes
    ORDER BY lease_expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)
RETURNING id, (SELECT kind = 'catalog' FROM jobs WHERE jobs.id = images.job_id) AS bulk
""")

# Only while the outbox is empty: what still waits there was not lost, only not sent yet.
_LOST = text("""
UPDATE images SET enqueued_at = now()
WHERE id IN (
    SELECT i.id FROM images i JOIN jobs j ON j.id = i.job_id
    WHERE i.status = 'queued' AND i.enqueued_at < :before AND (j.kind = 'catalog') = :bulk
    ORDER BY i.enqueued_at LIMIT :limit FOR UPDATE OF i SKIP LOCKED)
AND NOT EXISTS (SELECT 1 FROM outbox WHERE sent_at IS NULL AND available_at <= now())
RETURNING id, crashes
""")


@dataclass(frozen=True, slots=True)
class Rescued:
    """What one round of rescue did."""

    requeued: list[UUID]
    failed: list[UUID]


def rescue_expired(session: Session, max_crashes: int, limit: int = 1000) -> Rescued:
    """Requeue images whose lease ran out; fail those for which it did `max_crashes` times.

    Each travels alone from now on: if one of them is what kills workers, it kills no batch-mate's
    attempt (G4).
    """
    doomed = session.execute(_EXHAUSTED, {"max_crashes": max_crashes, "limit": limit})
    failed = exhaust(session, list(doomed.scalars()))
    expired = session.execute(_EXPIRED, {"max_crashes": max_crashes, "limit": limit})
    requeued = expired.all()
    for bulk in (False, True):
        add_chunks(session, [row.id for row in requeued if row.bulk == bulk], 1, bulk=bulk)
    return Rescued([row.id for row in requeued], failed)


def requeue_lost(
    session: Session, before: datetime, limit: int = 5000, *, bulk: bool = False
) -> list[UUID]:
    """Queue again what was queued before that instant and is unleased; returns the image ids.

    Each call sees to one queue: that of catalogs with `bulk`, else the other. A message that was
    not lost after all does no harm: the second finds nothing to lease.
    """
    rows = session.execute(_LOST, {"before": before, "limit": limit, "bulk": bulk}).all()
    add_chunks(session, [row.id for row in rows if row.crashes == 0], MAX_CHUNK, bulk=bulk)
    add_chunks(session, [row.id for row in rows if row.crashes > 0], 1, bulk=bulk)
    return [row.id for row in rows]


def database_time(session: Session) -> datetime:
    """Return PostgreSQL's clock: the only one that leases and ages are measured by."""
    now: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now
