"""Bytes that were judged are answered without inference; the job ends like any other."""

import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from shared.db.engine import make_engine, make_session_factory
from shared.db.tenants.keys import create_key, get_or_create_tenant
from tests.support.api import Api
from tests.support.photos import jpeg, samples


@pytest.fixture(scope="module")
def sessions(stack):
    engine = make_engine(stack.servers.database_url, pool_size=2)
    yield make_session_factory(engine)
    engine.dispose()


def verdict_of(job: dict) -> dict:
    return job["images"][0]["verdict"]


def test_a_photo_sent_again_repeats_the_verdict_even_when_its_bytes_are_gone(stack, sessions):
    photo = [samples()[0]]
    first = stack.api.finished(stack.api.accepted(photo)["id"])
    judged = verdict_of(first)
    assert judged["reused_from"] is None
    assert judged["judged_with"]["thresholds"]["ai_above"] > 0
    assert judged["judged_with"]["false_accusation_budget"] > 0
    assert judged["judged_with"]["preprocess"]["size"] > 0

    again = stack.api.accepted(photo)
    # Nothing is fetched: whatever the store has there, the worker does not look.
    with sessions.begin() as session:
        session.execute(
            text("UPDATE images SET object_key = 'nowhere' WHERE job_id = :id"), {"id": again["id"]}
        )
    second = stack.api.finished(again["id"])
    assert second["status"] == "succeeded"
    assert verdict_of(second) == {**judged, "reused_from": first["images"][0]["id"]}
    third = stack.api.finished(stack.api.accepted([("other name.jpg", photo[0][1])])["id"])
    assert verdict_of(third)["reused_from"] == first["images"][0]["id"]


def test_a_job_of_old_and_new_photos_gets_a_verdict_for_each(stack):
    old = stack.api.finished(stack.api.accepted([("a.jpg", jpeg(900))])["id"])
    job = stack.api.finished(
        stack.api.accepted([("a.jpg", jpeg(900)), ("b.jpg", jpeg(901)), ("a2.jpg", jpeg(900))])[
            "id"
        ]
    )
    sources = [image["verdict"]["reused_from"] for image in job["images"]]
    assert sources == [old["images"][0]["id"], None, old["images"][0]["id"]]


def test_another_tenant_gets_a_judgement_of_its_own(stack, sessions):
    photo = [("a.jpg", jpeg(902))]
    stack.api.finished(stack.api.accepted(photo)["id"])
    with sessions.begin() as session:
        key = create_key(
            session,
            get_or_create_tenant(session, "other marketplace"),
            "theirs",
            [Scope.JOBS_READ, Scope.JOBS_WRITE],
        )
    other = Api(stack.url, key)
    assert verdict_of(other.finished(other.accepted(photo)["id"]))["reused_from"] is None
    other.close()
