"""Standing truths, checked on a timer: a count above zero is a bug or a fault to look into."""

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


def queue_state(session: Session) -> dict[str, float]:
    """Return images waiting and running, and the age in seconds of the oldest waiting one."""
    row = session.execute(
        text("""
        SELECT count(*) FILTER (WHERE status = 'queued'),
            count(*) FILTER (WHERE status = 'running'),
            coalesce(extract(epoch FROM now() - min(created_at)
                FILTER (WHERE status = 'queued')), 0)
        FROM images WHERE status IN ('queued', 'running')
        """)
    ).one()
    return {"queued": float(row[0]), "running": float(row[1]), "oldest": float(row[2])}
