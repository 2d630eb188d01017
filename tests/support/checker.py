"""True after any fault: every 202 became terminal rows with one verdict each (G1, G2)."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.db.invariants import check_invariants
from tests.support.api import TERMINAL, Api


def check_all_settled(
    api: Api, session: Session, accepted: Iterable[dict[str, Any]], seconds: float = 90.0
) -> list[dict[str, Any]]:
    """Wait for every accepted job; then compare the client's view with the tables."""
    jobs = [api.finished(body["id"], seconds) for body in accepted]
    wanted = sorted(image["id"] for job in jobs for image in job["images"])
    rows = session.execute(text("SELECT id::text, status FROM images ORDER BY id::text")).all()
    assert [row.id for row in rows] == wanted
    assert {row.status for row in rows} <= TERMINAL
    succeeded = sum(row.status == "succeeded" for row in rows)
    verdicts = session.execute(
        text("SELECT count(*), count(DISTINCT image_id) FROM verdicts")
    ).one()
    assert tuple(verdicts) == (succeeded, succeeded)
    ended = session.execute(
        text("""
        SELECT count(*), count(DISTINCT job_id) FROM job_events
        WHERE to_status IN ('succeeded', 'partial', 'failed', 'cancelled')
        """)
    ).one()
    assert tuple(ended) == (len(jobs), len(jobs)), "each job ends once"
    assert set(check_invariants(session).values()) == {0}
    return jobs


def check_all_succeeded(
    api: Api, session: Session, accepted: Iterable[dict[str, Any]], seconds: float = 90.0
) -> None:
    """As `check_all_settled`, and no image failed."""
    for job in check_all_settled(api, session, accepted, seconds):
        assert job["status"] == "succeeded", job
