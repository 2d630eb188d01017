"""A key is taken once, whoever comes at the same time, and is free again after a day."""

import threading

import pytest
from sqlalchemy import text

from shared.core.ids import new_id
from shared.db.queue import idempotency
from shared.db.queue.idempotency import KeptRequest
from shared.db.tenants import keys


@pytest.fixture
def tenant(sessions):
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


def request(body: bytes = b"hash") -> KeptRequest:
    return KeptRequest(body, "job", new_id())


def make_older(sessions, hours: float) -> None:
    with sessions.begin() as session:
        session.execute(
            text("UPDATE idempotency_keys SET created_at = now() - make_interval(secs => :s)"),
            {"s": hours * 3600},
        )


def test_the_first_request_keeps_the_key(sessions, tenant):
    first, second = request(), request(b"other")
    with sessions.begin() as session:
        assert idempotency.find(session, tenant, "k") is None
        assert idempotency.claim(session, tenant, "k", first) is None
    with sessions.begin() as session:
        assert idempotency.claim(session, tenant, "k", second) == first
        assert idempotency.find(session, tenant, "k") == first


def test_keys_of_two_tenants_do_not_meet(sessions, tenant):
    with sessions.begin() as session:
        stranger = keys.get_or_create_tenant(session, "stranger")
        assert idempotency.claim(session, tenant, "k", request()) is None
        assert idempotency.claim(session, stranger, "k", request()) is None


def test_a_transaction_that_fails_leaves_the_key_to_the_next(sessions, tenant):
    failing, waiting = request(), request()
    taken = []

    def claim() -> None:
        with sessions.begin() as session:
            taken.append(idempotency.claim(session, tenant, "k", waiting))

    with sessions() as session:
        assert idempotency.claim(session, tenant, "k", failing) is None
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it waits for the first"
        session.rollback()
    thread.join(10)
    assert taken == [None]
    with sessions() as session:
        assert idempotency.find(session, tenant, "k") == waiting


def test_a_key_is_free_after_a_day(sessions, tenant):
    first, second = request(), request(b"other")
    with sessions.begin() as session:
        idempotency.claim(session, tenant, "k", first)
    make_older(sessions, idempotency.KEPT_HOURS - 0.1)
    with sessions.begin() as session:
        assert idempotency.claim(session, tenant, "k", second) == first
        assert idempotency.purge(session) == 0
    make_older(sessions, idempotency.KEPT_HOURS + 0.1)
    with sessions.begin() as session:
        assert idempotency.find(session, tenant, "k") is None
        assert idempotency.claim(session, tenant, "k", second) is None
        assert idempotency.find(session, tenant, "k") == second


def test_only_free_keys_are_purged(sessions, tenant):
    with sessions.begin() as session:
        idempotency.claim(session, tenant, "old", request())
    make_older(sessions, idempotency.KEPT_HOURS + 0.1)
    with sessions.begin() as session:
        idempotency.claim(session, tenant, "new", request())
    with sessions.begin() as session:
        assert idempotency.purge(session) == 1
        assert idempotency.find(session, tenant, "new") is not None
