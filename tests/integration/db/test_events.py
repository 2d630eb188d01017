"""Events and their fan-out: one transaction with what happened."""

import threading
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import select, text

from shared.contracts.errors import ImageErrorCode
from shared.contracts.events import EventType
from shared.contracts.tasks import CHANNEL_WEBHOOK_DUE
from shared.db.engine import SessionFactory
from shared.db.invariants import check_invariants
from shared.db.jobs import rows as jobs
from shared.db.models import Job, WebhookDelivery, WebhookEndpoint, WebhookEvent
from shared.db.tenants import keys
from shared.db.webhooks.events import NewEvent, emit, emit_many


@pytest.fixture
def tenant(sessions: SessionFactory) -> UUID:
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


def endpoint(sessions: SessionFactory, tenant: UUID, **facts) -> UUID:
    with sessions.begin() as session:
        row = WebhookEndpoint(tenant_id=tenant, **({"url": "https://shop.example/"} | facts))
        session.add(row)
        session.flush()
        return row.id


def deliveries(sessions: SessionFactory) -> list[WebhookDelivery]:
    with sessions() as session:
        return list(session.execute(select(WebhookDelivery)).scalars())


def test_an_event_goes_to_the_enabled_endpoints_that_want_its_type(sessions, tenant):
    wants = endpoint(sessions, tenant, events=["job.failed", "job.completed"])
    everything = endpoint(sessions, tenant)
    endpoint(sessions, tenant, events=["drift.detected"])
    endpoint(sessions, tenant, status="disabled", disabled_at="2026-01-01T00:00:00Z")
    with sessions.begin() as session:
        other = keys.get_or_create_tenant(session, "other")
    endpoint(sessions, other)
    with sessions.begin() as session:
        event = emit(session, tenant, EventType.JOB_COMPLETED, {"job_id": "j"})
    made = deliveries(sessions)
    assert {row.endpoint_id for row in made} == {wants, everything}
    assert {(row.event_id, row.status, row.attempts, row.url) for row in made} == {
        (event, "pending", 0, None)
    }


def test_what_is_rolled_back_did_not_happen(sessions, tenant):
    endpoint(sessions, tenant)
    with sessions() as session:
        emit(session, tenant, EventType.VERDICT_CHANGED, {})
        session.rollback()
    with sessions() as session:
        assert session.execute(text("SELECT count(*) FROM webhook_events")).scalar_one() == 0
    assert deliveries(sessions) == []


def test_a_url_of_its_own_goes_through_one_default_endpoint(sessions, tenant):
    with sessions.begin() as session:
        events = [
            NewEvent(tenant, EventType.JOB_COMPLETED, {"job_id": str(n)}, f"https://x.example/{n}")
            for n in range(3)
        ]
        emit_many(session, [*events, NewEvent(tenant, EventType.DRIFT_DETECTED, {})])
    made = deliveries(sessions)
    assert sorted(row.url for row in made) == [f"https://x.example/{n}" for n in range(3)]
    with sessions() as session:
        default = session.execute(select(WebhookEndpoint)).scalar_one()
        assert (default.is_default, default.url) == (True, None)
        assert len(session.execute(select(WebhookEvent)).scalars().all()) == 4


def test_an_endpoint_deleted_meanwhile_is_left_out_and_fails_nothing(sessions, tenant):
    gone = endpoint(sessions, tenant)
    deleting = sessions()
    deleting.execute(text("DELETE FROM webhook_endpoints WHERE id = :id"), {"id": gone})
    failures = []

    def tell() -> None:
        try:
            with sessions.begin() as session:
                emit(session, tenant, EventType.JOB_COMPLETED, {"job_id": "j"})
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive(), "it waits for the deletion to be decided"
    deleting.commit()
    deleting.close()
    thread.join(10)
    assert failures == []
    assert deliveries(sessions) == []


def test_listeners_are_told_at_commit_and_only_when_something_is_due(servers, sessions, tenant):
    url = servers.database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANNEL_WEBHOOK_DUE}")
        with sessions.begin() as session:
            emit(session, tenant, EventType.JOB_COMPLETED, {"job_id": "nobody listens"})
        assert list(listener.notifies(timeout=0.2, stop_after=1)) == []
        endpoint(sessions, tenant)
        with sessions.begin() as session:
            emit(session, tenant, EventType.JOB_COMPLETED, {"job_id": "j"})
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1


@pytest.mark.parametrize("kind", ["job", "predict"])
def test_a_jobs_end_is_an_event_unless_it_was_awaited_in_its_request(sessions, tenant, kind):
    endpoint(sessions, tenant, events=["job.failed"])
    code = ImageErrorCode.EMPTY_FILE.value
    refused = jobs.NewImage("a.jpg", 0, error_code=code, error_detail="empty")
    stored = jobs.NewImage("b.jpg", 9, sha256="0" * 64, object_key="k")
    with sessions.begin() as session:
        job_id = jobs.insert_job(session, jobs.NewJob(tenant, "r", [stored]))
        job = session.get_one(Job, job_id)
        job.kind, job.webhook_url = kind, "https://own.example/"
        session.flush()
        session.execute(
            text(
                "UPDATE images SET status = 'failed', error_code = :code, finished_at = now()"
                " WHERE job_id = :id"
            ),
            {"code": code, "id": job_id},
        )
        assert jobs.finish_jobs(session, [job_id]) == [job_id]
        jobs.insert_job(session, jobs.NewJob(tenant, "r", [refused]))
    with sessions() as session:
        events = session.execute(select(WebhookEvent)).scalars().all()
    ends = [event for event in events if event.subject == {"job_id": str(job_id)}]
    assert [event.type for event in ends] == (["job.failed"] if kind == "job" else [])
    urls = {row.url for row in deliveries(sessions) if row.event_id in {e.id for e in ends}}
    assert urls == ({None, "https://own.example/"} if kind == "job" else set())


def test_a_delivery_that_nobody_attempts_is_a_violation_unless_its_endpoint_is_disabled(
    sessions, tenant
):
    endpoint(sessions, tenant)

    def overdue() -> int:
        with sessions() as session:
            return check_invariants(session)["webhook_overdue_10_minutes"]

    with sessions.begin() as session:
        emit(session, tenant, EventType.DRIFT_DETECTED, {})
    assert overdue() == 0
    with sessions.begin() as session:
        session.execute(
            text("UPDATE webhook_deliveries SET next_attempt_at = now() - interval '11 minutes'")
        )
    assert overdue() == 1
    with sessions.begin() as session:
        session.execute(
            text("UPDATE webhook_endpoints SET status = 'disabled', disabled_at = now()")
        )
    assert overdue() == 0
