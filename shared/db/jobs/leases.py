"""Leases: who works on an image, decided by PostgreSQL's clock, never by the broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.core.ids import new_id

_START_JOBS = text("""
WITH started AS (
    UPDATE jobs SET status = 'running', started_at = now()
    WHERE id IN (
        SELECT id FROM jobs
        WHERE status = 'queued' AND id IN (
            SELECT job_id FROM images WHERE id = ANY(:ids) AND status = 'queued')
        ORDER BY id FOR UPDATE)
    RETURNING id)
INSERT INTO job_events (job_id, from_status, to_status)
SELECT id, 'queued', 'running' FROM started
""")

_LEASE = text("""
UPDATE images SET status = 'running', lease_id = :lease_id, attempts = attempts + 1,
    lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
FROM jobs
WHERE jobs.id = images.job_id AND images.id IN (
    SELECT id FROM images WHERE id = ANY(:ids) AND status = 'queued'
    ORDER BY id FOR UPDATE SKIP LOCKED)
RETURNING images.id, images.job_id, images.object_key, images.sha256, images.size,
    images.attempts, jobs.request_id, jobs.kind = 'catalog' AS bulk
""")

_RENEW = text("""
UPDATE images SET lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = ANY(:ids) AND lease_id = :lease_id
""")

_RELEASE = text("""
UPDATE images SET status = 'queued', lease_id = NULL, lease_expires_at = NULL,
    enqueued_at = now() + make_interval(secs => :delay)
WHERE id = ANY(:ids) AND lease_id = :lease_id
RETURNING id
""")


@dataclass(frozen=True, slots=True)
class LeasedImage:
    """What a worker needs to judge one image."""

    id: UUID
    job_id: UUID
    object_key: str
    sha256: str
    # Bytes of the stored object.
    size: int
    # Leases so far, this one included.
    attempts: int
    request_id: str
    # A catalog's: it yields to photos that somebody waits for.
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The images that this attempt may settle, until the lease runs out."""

    id: UUID
    images: Sequence[LeasedImage]


def acquire(session: Session, image_ids: Sequence[UUID], seconds: float) -> Lease:
    """Lease those of `image_ids` that wait; others are done, held or being taken right now.

    Their jobs become `running`. A message delivered twice therefore leases nothing twice.
    """
    ids = list(image_ids)
    session.execute(_START_JOBS, {"ids": ids})
    lease_id = new_id()
    rows = session.execute(_LEASE, {"ids": ids, "lease_id": lease_id, "seconds": seconds})
    return Lease(lease_id, [LeasedImage(*row) for row in rows])


def renew(session: Session, lease_id: UUID, image_ids: Sequence[UUID], seconds: float) -> int:
    """Extend the lease; returns how many images are still held."""
    result = session.execute(
        _RENEW, {"ids": list(image_ids), "lease_id": lease_id, "seconds": seconds}
    )
    return int(result.rowcount)  # type: ignore[attr-defined]  # CursorResult of an UPDATE


def release(
    session: Session, lease_id: UUID, image_ids: Sequence[UUID], delay: float
) -> list[UUID]:
    """Put images back in the queue after a passing fault; returns those that were still held.

    The caller hands them to the outbox with the same `delay` in seconds.
    """
    rows = session.execute(_RELEASE, {"ids": list(image_ids), "lease_id": lease_id, "delay": delay})
    return list(rows.scalars())
