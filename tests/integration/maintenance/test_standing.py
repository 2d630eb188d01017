"""What maintenance tells Prometheus: stuck photos, counts by tenant, servers that are away."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from services.maintenance.business import BusinessCounts
from services.maintenance.probes import Probes
from services.maintenance.settings import MaintenanceSettings
from services.maintenance.sweeps import Sweeps
from services.maintenance.tasks import _guarded
from shared.contracts.states import JobKind, Label
from shared.core.errors import QueueUnavailable
from shared.core.ids import new_id
from shared.db.engine import SessionFactory
from shared.db.images import feedback
from shared.db.invariants import QueueState, queue_state, stuck_images
from shared.db.jobs.rows import NewImage, NewJob, insert_job
from shared.db.models import Catalog, Verdict
from shared.db.tenants import keys
from shared.queue.app import make_celery
from shared.queue.broker import Broker
from tests.support.processes import wait_until
from tests.support.servers import Servers


@pytest.fixture
def sweeps(servers: Servers, sessions: SessionFactory) -> Iterator[Sweeps]:
    settings = MaintenanceSettings(**servers.settings().model_dump())
    celery, broker = make_celery(servers.redis_url), Broker(servers.redis_url)
    yield Sweeps(settings, sessions, celery, broker)
    broker.close()
    celery.close()


def image(**change: object) -> NewImage:
    values = {
        "filename": "a.jpg",
        "object_key": "k",
        "sha256": "0" * 64,
        "content_type": "image/jpeg",
        "size": 1,
        "width": 8,
        "height": 8,
    }
    return NewImage(**{**values, **change})


def job(sessions: SessionFactory, tenant: str, images: int = 1, kind: JobKind = JobKind.JOB):
    """Insert a job; returns its image ids."""
    with sessions.begin() as session:
        tenant_id = keys.get_or_create_tenant(session, tenant)
        new = NewJob(tenant_id, "request", [image() for _ in range(images)], kind=kind)
        job_id = insert_job(session, new)
        found = session.execute(text("SELECT id FROM images WHERE job_id = :id"), {"id": job_id})
        return list(found.scalars())


def change(sessions: SessionFactory, image_id: object, **values: object) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in values)
    with sessions.begin() as session:
        session.execute(
            text(f"UPDATE images SET {columns} WHERE id = :id"), {**values, "id": image_id}
        )


def judge(
    sessions: SessionFactory, image_id: object, label: Label, *kinds_of_evidence: str
) -> None:
    with sessions.begin() as session:
        session.add(
            Verdict(
                image_id=image_id,
                model_version="1",
                label=label.value,
                probability=0.5,
                confidence=0.5,
                logit=0.0,
                evidence=[{"kind": kind} for kind in kinds_of_evidence],
            )
        )
        session.execute(
            text("UPDATE images SET status = 'succeeded', finished_at = now() WHERE id = :id"),
            {"id": image_id},
        )


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def age(sessions: SessionFactory, image_id: object, minutes: int) -> None:
    """Make an image's job so much older."""
    query = "UPDATE jobs SET created_at = now() - :age FROM images i"
    query += " WHERE i.job_id = jobs.id AND i.id = :id"
    with sessions.begin() as session:
        session.execute(text(query), {"age": timedelta(minutes=minutes), "id": image_id})


def test_a_photo_is_stuck_for_the_reason_that_holds_it(sessions):
    (waiting,), (leased, crashing, fresh) = job(sessions, "acme"), job(sessions, "acme", 3)
    age(sessions, waiting, 20)
    with sessions() as session:
        ago = session.execute(text("SELECT now() - interval '20 minutes'")).scalar_one()
    change(sessions, leased, status="running", lease_id=new_id(), lease_expires_at=ago)
    change(sessions, crashing, crashes=2)
    with sessions() as session:
        assert stuck_images(session, 900) == {"lease_expired": 1, "crashing": 1, "waiting": 1}
        assert stuck_images(session, 1800) == {"lease_expired": 0, "crashing": 1, "waiting": 0}
    # What is terminal is not stuck, however old.
    change(sessions, leased, lease_id=None, lease_expires_at=None, status="queued")
    for image_id in (waiting, leased, crashing, fresh):
        judge(sessions, image_id, Label.REAL)
    with sessions() as session:
        assert set(stuck_images(session, 0).values()) == {0}


def test_catalogs_photos_have_an_age_of_their_own_and_may_wait(sessions):
    (direct,) = job(sessions, "acme")
    with sessions.begin() as session:
        tenant_id = keys.get_or_create_tenant(session, "acme")
        catalog = Catalog(tenant_id=tenant_id, format="csv", manifest_key="k", request_id="r")
        session.add(catalog)
        session.flush()
        bulk = NewJob(
            tenant_id, "request", [image(), image()], kind=JobKind.CATALOG, catalog_id=catalog.id
        )
        insert_job(session, bulk)
        session.execute(
            text("UPDATE jobs SET created_at = now() - interval '1 hour' WHERE kind = 'catalog'")
        )
    age(sessions, direct, 2)
    with sessions() as session:
        state = queue_state(session)
        assert stuck_images(session, 900)["waiting"] == 0
    assert (state.queued, state.running) == (3, 0)
    assert 120 <= state.oldest < 180
    assert 3600 <= state.oldest_bulk < 3660


def test_an_empty_queue_has_no_age(sessions):
    with sessions() as session:
        assert queue_state(session) == QueueState(0, 0, 0.0, 0.0)


def test_the_measures_reach_the_metrics(sweeps, sessions):
    (stuck,) = job(sessions, "acme")
    age(sessions, stuck, 60)
    sweeps.measure()
    sweeps.check()
    assert sample("detector_images_stuck", reason="waiting") == 1
    assert sample("detector_images_stuck", reason="lease_expired") == 0
    assert sample("detector_images_open", status="queued") == 1
    oldest = sample("detector_images_oldest_queued_seconds", queue="direct")
    assert oldest is not None
    assert 3600 <= oldest < 3660
    assert sample("detector_images_oldest_queued_seconds", queue="bulk") == 0


def test_verdicts_and_reviews_are_counted_once_by_tenant(sessions):
    tenants = {"north", "south"}
    before, north, south = (
        job(sessions, "north")[0],
        job(sessions, "north", 2),
        job(sessions, "south"),
    )
    judge(sessions, before, Label.REAL)
    counts = BusinessCounts(sessions, settled_after=0.0)
    counts.count()  # what was there before is not counted, but the series begin

    def verdicts(tenant: str, label: str) -> float | None:
        return sample("detector_tenant_verdicts_total", tenant=tenant, label=label, kind="job")

    assert {verdicts(tenant, label) for tenant in tenants for label in Label} == {0.0}
    assert sample("detector_tenant_images_open", tenant="north") == 2
    judge(sessions, north[0], Label.AI_GENERATED, "aigc_label", "conclusion")
    judge(sessions, north[1], Label.UNCERTAIN)
    judge(sessions, south[0], Label.AI_GENERATED)
    with sessions.begin() as session:
        tenant_id = keys.get_or_create_tenant(session, "north")
        said = feedback.NewFeedback(Label.REAL, "bought it", "ann")
        feedback.add_feedback(session, tenant_id, north[0], said)
    counts.count()
    counts.count()
    assert verdicts("north", "ai_generated") == verdicts("north", "uncertain") == 1
    assert verdicts("south", "ai_generated") == 1
    assert verdicts("north", "real") == verdicts("south", "real") == 0
    rests = "detector_tenant_verdict_basis_total"
    assert sample(rests, tenant="north", basis="statement") == 1
    assert sample(rests, tenant="north", basis="pixels") == 1
    assert sample(rests, tenant="south", basis="statement") == 0
    reviews = "detector_tenant_reviews_total"
    assert sample(reviews, tenant="north", label="real", outcome="overturned") == 1
    assert sample(reviews, tenant="north", label="real", outcome="confirmed") == 0
    assert sample("detector_tenant_images_open", tenant="north") == 0
    with sessions.begin() as session:
        session.execute(text("DELETE FROM tenants WHERE name = 'south'"))
    counts.count()
    assert sample("detector_tenant_images_open", tenant="south") is None


def test_a_young_verdict_waits_until_no_transaction_can_be_older(sessions):
    (image_id,) = job(sessions, "later")
    counts = BusinessCounts(sessions)
    counts.count()
    judge(sessions, image_id, Label.REAL)
    counts.count()
    assert sample("detector_tenant_verdicts_total", tenant="later", label="real", kind="job") == 0


def test_a_server_that_is_away_ages_and_holds_up_no_other():
    alive = {"here": True}

    def away_or_not() -> None:
        if not alive["here"]:
            raise ConnectionError

    name = "detector_dependency_last_answer_timestamp_seconds"
    probes = Probes({"one": away_or_not, "two": lambda: None}, 0.01)
    begun = sample(name, dependency="one")
    assert begun is not None
    probes.start()
    try:
        wait_until(lambda: (sample(name, dependency="one") or 0) > begun, 5, "one answers")
        alive["here"] = False
        wait_until(lambda: _stands_still("one") and not _stands_still("two"), 5, "one is away")
        alive["here"] = True
        wait_until(lambda: not _stands_still("one"), 5, "one answers again")
    finally:
        probes.stop()


def _stands_still(dependency: str) -> bool:
    name = "detector_dependency_last_answer_timestamp_seconds"
    first = sample(name, dependency=dependency)
    try:
        wait_until(lambda: sample(name, dependency=dependency) != first, 0.3, "it moves")
    except AssertionError:
        return True
    return False


def test_a_sweep_that_fails_is_counted_and_does_not_count_as_run():
    def fail() -> None:
        raise QueueUnavailable("away")

    def crash() -> None:
        raise KeyError("bug")

    _guarded("rescue", fail)
    assert sample("detector_maintenance_sweep_failures_total", sweep="rescue") == 1
    with pytest.raises(KeyError):
        _guarded("rescue", crash)
    assert sample("detector_maintenance_sweep_failures_total", sweep="rescue") == 2
    name = "detector_maintenance_last_success_timestamp_seconds"
    assert sample(name, sweep="rescue") is None
    _guarded("rescue", lambda: None)
    assert sample(name, sweep="rescue") is not None
