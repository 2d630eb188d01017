"""Requests per minute and waiting photos: each tenant's own, and what happens without Redis."""

import socket
import time
from uuid import uuid4

import pytest

from shared.contracts.scopes import Scope
from shared.db.tenants.limits import set_limits
from tests.integration.gateway.helpers import count, image_files, judge, slug
from tests.support.listeners import listening
from tests.support.photos import jpeg

PHOTO = image_files(("a.jpg", jpeg(0)))
MANIFEST = [("file", ("shop.csv", b"url\nhttps://shop.example/a.jpg\n", "text/csv"))]
_RATE_HEADERS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")


@pytest.fixture
def limited(gateway):
    """A function that makes a tenant with limits and returns a key of it."""

    def make(**limits: int) -> str:
        name = f"tenant {uuid4()}"
        key = gateway.new_key(name, [Scope.JOBS_READ, Scope.JOBS_WRITE, Scope.CATALOGS])
        with gateway.sessions.begin() as session:
            assert set_limits(session, name, limits)
        return key

    return make


def _ask(client):
    return client.get(f"/jobs/{uuid4()}")


def test_a_tenant_is_stopped_at_its_limit_and_others_are_not(gateway, client, limited):
    with gateway.client(limited(requests_per_minute=3)) as tenant:
        answers = [_ask(tenant) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == list("21000")
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"3"}
    for refused in answers[3:]:
        assert slug(refused) == "rate-limited"
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        assert 1 <= int(refused.headers["retry-after"]) <= 81  # a window and a third of one
    assert _ask(client).status_code == 404


def test_every_keyed_answer_tells_what_is_left(gateway, limited):
    key = limited(requests_per_minute=50)
    reader = gateway.new_key("reader", [Scope.JOBS_READ])
    with gateway.client(key) as tenant, gateway.client(reader) as without_scope:
        for answer in (
            tenant.post("/jobs", files=PHOTO),
            tenant.post("/jobs", files=image_files(("a.txt", b"text"))),
            _ask(tenant),
            without_scope.post("/jobs", files=PHOTO),
        ):
            limit, remaining, reset = (int(answer.headers[name]) for name in _RATE_HEADERS)
            assert 0 <= remaining < limit
            assert 1 <= reset <= 60
    with gateway.client("apd_unknown") as stranger:
        assert not set(_RATE_HEADERS) & set(_ask(stranger).headers)


def test_no_limit_means_no_headers(gateway, limited):
    with gateway.client(limited(requests_per_minute=0)) as tenant:
        assert not set(_RATE_HEADERS) & set(_ask(tenant).headers)


def test_gateways_count_together(gateway, limited, start_gateway):
    key = limited(requests_per_minute=4)
    with start_gateway() as second, gateway.client(key) as one, second.client(key) as other:
        statuses = [_ask(client).status_code for client in (one, other) * 3]
    assert statuses == [404, 404, 404, 404, 429, 429]


def test_without_redis_each_gateway_counts_for_itself(limited, start_gateway):
    key = limited(requests_per_minute=2)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with start_gateway(redis_url=f"redis://127.0.0.1:{port}/0") as alone, alone.client(key) as one:
        assert [_ask(one).status_code for _ in range(3)] == [404, 404, 429]


def test_a_frozen_redis_costs_one_short_wait(limited, start_gateway):
    key = limited(requests_per_minute=100)

    def frozen(_listener, connection):
        while connection.recv(65536):
            pass

    with listening(frozen) as redis:
        url = f"redis://127.0.0.1:{redis.port}/0"
        with start_gateway(redis_url=url) as alone, alone.client(key) as one:
            began = time.monotonic()
            assert _ask(one).status_code == 404
            assert time.monotonic() - began < 10
            began = time.monotonic()
            assert [_ask(one).status_code for _ in range(5)] == [404] * 5
            assert time.monotonic() - began < 10


def test_a_tenant_with_enough_photos_waiting_gets_429_until_some_are_judged(gateway, limited):
    before = count(gateway.sessions, "jobs")
    with gateway.client(limited(max_open_images=2)) as tenant:
        job = tenant.post("/jobs", files=PHOTO * 2)
        assert job.status_code == 202
        for refused in (
            tenant.post("/jobs", files=PHOTO),
            tenant.post("/predict", files=image_files(("a.jpg", jpeg(0)), field="file")),
        ):
            assert (refused.status_code, slug(refused)) == (429, "queue-full")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert count(gateway.sessions, "jobs") == before + 1
        # Reading goes on, and so does cancelling: that is how to make room.
        assert tenant.get(job.json()["links"]["self"]).status_code == 200
        judge(gateway.sessions, job.json()["id"])
        assert tenant.post("/jobs", files=PHOTO).status_code == 202


def test_catalogs_count_as_requests_and_are_stopped_at_the_limit(gateway, limited):
    before = count(gateway.sessions, "catalogs")
    with gateway.client(limited(requests_per_minute=2)) as tenant:
        answers = [tenant.post("/catalogs", files=MANIFEST) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert slug(answers[2]) == "rate-limited"
    assert answers[2].headers["retry-after"] == answers[2].headers["ratelimit-reset"]
    assert count(gateway.sessions, "catalogs") == before + 2


def test_a_tenant_with_enough_photos_waiting_gets_429_for_a_catalog_too(gateway, limited):
    before = count(gateway.sessions, "catalogs")
    with gateway.client(limited(max_open_images=1)) as tenant:
        job = tenant.post("/jobs", files=PHOTO)
        assert job.status_code == 202
        for refused in (
            tenant.post("/catalogs", files=MANIFEST),
            tenant.post("/catalogs", json={"s3_prefix": "drop/"}),
        ):
            assert (refused.status_code, slug(refused)) == (429, "queue-full")
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert count(gateway.sessions, "catalogs") == before
        judge(gateway.sessions, job.json()["id"])
        # A catalog's own photos are not among those that keep the next one away.
        assert [tenant.post("/catalogs", files=MANIFEST).status_code for _ in range(2)] == [202] * 2


def test_the_settings_hold_for_tenants_without_limits_of_their_own(start_gateway):
    with start_gateway(gateway_requests_per_minute=1, gateway_max_open_images=1) as strict:
        key = strict.new_key(f"tenant {uuid4()}", [Scope.JOBS_READ, Scope.JOBS_WRITE])
        with strict.client(key) as tenant:
            assert [_ask(tenant).status_code for _ in range(2)] == [404, 429]
