"""Standing truths, checked on a timer: a count above zero is a bug or a fault to look into."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

_CHECKS: dict[str, str] = {
    # G2: a succeeded image has a verdict, and only such an image has one.
    "succeeded_image_without_verdict": """
        SELECT count(*) FROM images i
        WHERE i.status = 'succeeded' AND i.finished_at > now() - interval '1 day'
        AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.image_id = i.id)""",
    "verdict_of_unfinished_image": """
        SELECT count(*) FROM verdicts v JOIN images i ON i.id = v.image_id
        WHERE v.created_at > now() - interval '1 day' AND i.status <> 'succeeded'""",
    # G2: a job is terminal as soon as its images are, and not before.
    "open_job_of_finished_images": """
        SELECT count(*) FROM jobs j WHERE j.status IN ('queued', 'running')
        AND NOT EXISTS (SELECT 1 FROM images i
            WHERE i.job_id = j.id AND i.status IN ('queued', 'running'))""",
    "finished_job_of_open_images": """
        SELECT count(*) FROM images i JOIN jobs j ON j.id = i.job_id
        WHERE i.status IN ('queued', 'running') AND j.finished_at IS NOT NULL""",
    # Leases are renewed or rescued within seconds.
    "lease_expired_10_minutes_ago": """
        SELECT count(*) FROM images
        WHERE status = 'running' AND lease_expires_at < now() - interval '10 minutes'""",
    # G3: what is due is attempted within seconds, unless no dispatcher runs or a receiver is slower
    # than its events come.
    "webhook_overdue_10_minutes": """
        SELECT count(*) FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id
        WHERE e.status = 'enabled' AND d.status = 'pending'
        AND d.next_attempt_at < now() - interval '10 minutes'""",
    "image_queued_for_an_hour": """
        SELECT count(*) FROM images
        WHERE status = 'queued' AND created_at < now() - interval '1 hour'""",
}


def check_invariants(session: Session) -> dict[str, int]:
    """Return violations by invariant name; all zero when the truths hold."""
    return {name: int(session.execute(text(query)).scalar_one()) for name, query in _CHECKS.items()}


@dataclass(frozen=True, slots=True)
class QueueState:
    """Images that are not terminal; ages in seconds, 0 when nothing is queued."""

    queued: int
    running: int
    # Of the oldest queued photo, catalogs' not counted.
    oldest: float
    # Of the oldest queued photo of a catalog: these give way to all others.
    oldest_bulk: float


_OPEN = text("""
SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
    count(*) FILTER (WHERE status = 'running') AS running
FROM images WHERE status IN ('queued', 'running')
""")

# A job's photos are as old as it is; the index of open jobs leads to the oldest at once.
_OLDEST = text("""
SELECT extract(epoch FROM now() - j.created_at) FROM jobs j JOIN images i ON i.job_id = j.id
WHERE j.status IN ('queued', 'running') AND i.status = 'queued' AND (j.kind = 'catalog') = :bulk
ORDER BY j.created_at LIMIT 1
""")

# An image may be stuck for more than one reason, so these are not to be added up.
_STUCK = text("""
SELECT
    (SELECT count(*) FROM images
        WHERE status = 'running' AND lease_expires_at < now() - :patience) AS lease_expired,
    (SELECT count(*) FROM images
        WHERE status IN ('queued', 'running') AND crashes >= 2) AS crashing,
    (SELECT count(*) FROM jobs j JOIN images i ON i.job_id = j.id
        WHERE j.status IN ('queued', 'running') AND j.kind <> 'catalog'
        AND j.created_at < now() - :patience AND i.status IN ('queued', 'running')) AS waiting
""")


def queue_state(session: Session) -> QueueState:
    """Count what is open and tell how long the oldest photos have waited."""
    row = session.execute(_OPEN).one()
    ages = [session.execute(_OLDEST, {"bulk": bulk}).scalar() or 0 for bulk in (False, True)]
    return QueueState(row.queued, row.running, float(ages[0]), float(ages[1]))


def stuck_images(session: Session, patience_seconds: float) -> dict[str, int]:
    """Return how many open images no longer move, by reason.

    `lease_expired`: their lease ended `patience_seconds` ago and nobody rescued them; `crashing`:
    workers ended over them at least twice; `waiting`: accepted `patience_seconds` ago, and not a
    catalog's photo.
    """
    row = session.execute(_STUCK, {"patience": timedelta(seconds=patience_seconds)}).one()
    return {name: int(count) for name, count in row._asdict().items()}
