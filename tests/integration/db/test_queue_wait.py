"""How long a photo will wait, told from what the queue has just done."""

from uuid import UUID

import pytest
from sqlalchemy import text

from shared.contracts.catalogs import CatalogFormat
from shared.contracts.states import JobKind, Label
from shared.db.catalogs.rows import NewCatalog, insert_catalog
from shared.db.engine import SessionFactory
from shared.db.jobs import leases
from shared.db.jobs import rows as jobs
from shared.db.jobs.results import Judged, settle
from shared.db.queue.wait import WINDOW_SECONDS, QueueWait, queue_wait
from shared.db.tenants import keys


@pytest.fixture
def tenant(sessions: SessionFactory) -> UUID:
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


def submit(sessions, tenant: UUID, count: int, age: float = 0.0, **facts) -> list[UUID]:
    """Submit `count` photos as if `age` seconds ago; returns their ids."""
    image = jobs.NewImage("a.jpg", 10, "a" * 64, "tenants/x/a", "image/jpeg", 8, 8)
    with sessions.begin() as session:
        job_id = jobs.insert_job(session, jobs.NewJob(tenant, "r", [image] * count, **facts))
        rows = session.execute(
            text(
                "UPDATE images SET enqueued_at = now() - make_interval(secs => :age)"
                " WHERE job_id = :id RETURNING id"
            ),
            {"age": age, "id": job_id},
        )
        return list(rows.scalars())


def judge(sessions, ids: list[UUID], age: float, version: str = "m1") -> None:
    """Judge the photos as if `age` seconds ago."""
    with sessions.begin() as session:
        lease = leases.acquire(session, ids, 30)
        settle(session, lease.id, [Judged(i, version, Label.REAL, 0.1, 0.9, -2.0) for i in ids])
        session.execute(
            text(
                "UPDATE verdicts SET created_at = now() - make_interval(secs => :age)"
                " WHERE image_id = ANY(:ids)"
            ),
            {"age": age, "ids": ids},
        )


def measured(sessions) -> QueueWait:
    with sessions() as session:
        return queue_wait(session)


def test_nothing_waits(sessions, tenant):
    assert measured(sessions) == QueueWait(0, 0.0, 0.0)
    assert measured(sessions).seconds == 0


def test_the_queue_over_the_speed_of_the_time_that_its_oldest_waited(sessions, tenant):
    judge(sessions, submit(sessions, tenant, 10), age=8.0, version="m1")
    judge(sessions, submit(sessions, tenant, 10), age=2.0, version="m2")
    judge(sessions, submit(sessions, tenant, 5), age=15.0)  # before the oldest came
    submit(sessions, tenant, 30, age=10.0)
    submit(sessions, tenant, 10, age=0.0)
    wait = measured(sessions)
    assert wait.waiting == 40
    assert wait.oldest == pytest.approx(10, abs=0.5)
    assert wait.judged_per_second == pytest.approx(2.0, rel=0.06)
    assert wait.seconds == pytest.approx(20, rel=0.06)


def test_only_the_newest_half_minute_tells_the_speed(sessions, tenant):
    judge(sessions, submit(sessions, tenant, 12), age=WINDOW_SECONDS + 5)
    judge(sessions, submit(sessions, tenant, 6), age=WINDOW_SECONDS - 5)
    submit(sessions, tenant, 4, age=600.0)
    assert measured(sessions).judged_per_second == pytest.approx(6 / WINDOW_SECONDS)


def test_a_queue_that_does_not_move_is_as_slow_as_its_oldest_photo(sessions, tenant):
    submit(sessions, tenant, 2, age=45.0)
    wait = measured(sessions)
    assert wait.judged_per_second == 0
    assert wait.seconds == pytest.approx(45, abs=1)


def test_photos_of_catalogs_give_way_and_postponed_ones_are_not_due(sessions, tenant):
    with sessions.begin() as session:
        new = NewCatalog(tenant, "r", CatalogFormat.S3_PREFIX, s3_prefix="drop/")
        catalog = insert_catalog(session, new).id
    submit(sessions, tenant, 5, age=20.0, kind=JobKind.CATALOG, catalog_id=catalog)
    submit(sessions, tenant, 3, age=-30.0)
    assert measured(sessions) == QueueWait(0, 0.0, 0.0)
