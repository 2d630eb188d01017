"""An event that was committed is delivered, whatever happens to its dispatcher (G3)."""

import pytest
from sqlalchemy import text

from shared.contracts.events import EventType
from shared.db.tenants.keys import get_or_create_tenant
from shared.db.webhooks.endpoints import create_endpoint
from shared.db.webhooks.events import emit
from shared.keys.signing_secrets import SecretBox, new_secret
from tests.support.processes import wait_until
from tests.support.receiver import Answer, Receiver
from tests.support.servers import WEBHOOK_KEY

QUICK = {
    "DETECTOR_WEBHOOK_TIMEOUT_SECONDS": "4",
    "DETECTOR_WEBHOOK_LEASE_SECONDS": "6",
    "DETECTOR_WEBHOOK_CLOCK_SCALE": "0.0001",
}
EVENTS = 30


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def system(make_system, receiver):
    return make_system(QUICK | {"DETECTOR_WEBHOOK_ALLOWED_HOSTS": receiver.host})


@pytest.fixture
def told(sessions, receiver) -> tuple[str, list[str]]:
    """An endpoint's secret and the ids of its events, committed while no dispatcher runs."""
    secret = new_secret()
    with sessions.begin() as session:
        tenant = get_or_create_tenant(session, "shop")
        sealed = SecretBox(WEBHOOK_KEY).seal(secret)
        create_endpoint(session, tenant, receiver.url, [], "", sealed)
    ids = []
    for number in range(EVENTS):
        with sessions.begin() as session:
            kind = EventType.DRIFT_DETECTED
            ids.append(str(emit(session, tenant, kind, {"number": number})))
    return secret, ids


def all_delivered(sessions, ids) -> bool:
    with sessions() as session:
        query = text("SELECT count(*) FROM webhook_deliveries WHERE status = 'succeeded'")
        return session.execute(query).scalar_one() == len(ids)


@pytest.mark.timeout(420)  # four starts of a service, and three leases that run out
def test_dispatchers_killed_in_the_midst_of_attempts_lose_no_event(
    system, sessions, receiver, told
):
    secret, ids = told
    receiver.answer = lambda *_: Answer(delay=0.3)
    for round_number in range(3):
        before = len(receiver.received)
        dispatcher = system.webhooks()
        wait_until(lambda: len(receiver.received) > before, 30, "an attempt is under way")  # noqa: B023
        dispatcher.kill()
        assert not all_delivered(sessions, ids), f"killed too late in round {round_number}"
    system.webhooks()
    wait_until(lambda: all_delivered(sessions, ids), 60, "every event is delivered")
    assert {request.id for request in receiver.received} == set(ids)
    for request in receiver.received:
        assert request.verified(secret)["type"] == "drift.detected"


def test_a_dispatcher_that_is_told_to_stop_finishes_its_attempts(system, sessions, receiver, told):
    _, ids = told
    receiver.answer = lambda *_: Answer(delay=1.0)
    dispatcher = system.webhooks()
    wait_until(lambda: receiver.received, 30, "an attempt is under way")
    assert dispatcher.stop() == 0
    sent = len(receiver.received)
    assert 0 < sent < len(ids)
    receiver.answer = lambda *_: Answer()
    system.webhooks()
    wait_until(lambda: all_delivered(sessions, ids), 60, "every event is delivered")
    # Nothing was cut off, so nothing came twice.
    assert sorted(request.id for request in receiver.received) == sorted(ids)


def test_two_dispatchers_share_the_work_and_send_nothing_twice(system, sessions, receiver, told):
    _, ids = told
    receiver.answer = lambda *_: Answer(delay=0.1)
    system.webhooks()
    system.webhooks()
    wait_until(lambda: all_delivered(sessions, ids), 60, "every event is delivered")
    assert sorted(request.id for request in receiver.received) == sorted(ids)
