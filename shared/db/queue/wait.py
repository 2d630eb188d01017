"""How long a photo submitted now will wait, by what the queue has just done."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

# Seconds of the past that the speed is taken from.
WINDOW_SECONDS = 30.0
_COUNTED_AT_MOST = 20_000

# Photos of catalogs give way to all others, so they are not counted as waiting before one.
_WAITING = text("""
SELECT count(*) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(enqueued_at)), 0) AS oldest
FROM (
    SELECT i.enqueued_at FROM images i JOIN jobs j ON j.id = i.job_id
    WHERE i.status = 'queued' AND i.enqueued_at <= now() AND j.kind <> 'catalog'
    ORDER BY i.enqueued_at LIMIT :at_most) AS queued
""")

# The versions one by one (there are few), then the index on (model_version, created_at).
_JUDGED = text("""
WITH RECURSIVE versions(version) AS (
    SELECT max(model_version) FROM verdicts
    UNION ALL
    SELECT (SELECT max(model_version) FROM verdicts WHERE model_version < version)
    FROM versions WHERE version IS NOT NULL)
SELECT count(*) FROM versions JOIN verdicts ON verdicts.model_version = version
WHERE verdicts.created_at > now() - make_interval(secs => :seconds)
""")


@dataclass(frozen=True, slots=True)
class QueueWait:
    """What the queue looks like to a photo that is submitted now."""

    # Photos before it, catalogs' not counted; 20,000 stands for more.
    waiting: int
    # Age in seconds of the oldest of them.
    oldest: float
    # Photos judged per second while that one waited, so with the workers busy; 0 when none was.
    judged_per_second: float

    @property
    def seconds(self) -> float:
        """Return how long the photo will wait; by the oldest one's age when nothing moves."""
        if self.judged_per_second:
            return self.waiting / self.judged_per_second
        return self.oldest


def queue_wait(session: Session) -> QueueWait:
    """Measure the queue; costs a few milliseconds."""
    row = session.execute(_WAITING, {"at_most": _COUNTED_AT_MOST}).one()
    oldest = max(0.0, float(row.oldest))
    # Nobody waits for long: then the speed says nothing, since the workers may have been idle.
    if oldest < 1.0:
        return QueueWait(row.waiting, oldest, 0.0)
    seconds = min(oldest, WINDOW_SECONDS)
    judged = session.execute(_JUDGED, {"seconds": seconds}).scalar_one()
    return QueueWait(row.waiting, oldest, judged / seconds)
