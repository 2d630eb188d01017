"""A request that is sent again makes nothing new."""

import threading

import httpx
import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from tests.integration.gateway.helpers import count, image_files, slug
from tests.support.photos import jpeg
from tests.support.processes import free_port

TABLES = ("jobs", "images", "job_events", "idempotency_keys")


def post(client: httpx.Client, key: str, photos=((("a.jpg"), 1),), **fields: str) -> httpx.Response:
    files = image_files(*((name, jpeg(seed)) for name, seed in photos))
    return client.post("/jobs", files=files, data=fields, headers={"Idempotency-Key": key})


def test_the_same_request_again_answers_with_the_same_job(gateway, client):
    first = post(client, "order 7", listing_id="L-1", metadata='{"a": 1, "b": 2}')
    before = {table: count(gateway.sessions, table) for table in TABLES}
    again = post(client, "order 7", listing_id="L-1", metadata='{"b": 2, "a": 1}')
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert {table: count(gateway.sessions, table) for table in TABLES} == before


@pytest.mark.parametrize(
    ("photos", "fields"),
    [
        ((("a.jpg", 2),), {"listing_id": "L"}),
        ((("b.jpg", 1),), {"listing_id": "L"}),
        ((("a.jpg", 1), ("a.jpg", 1)), {"listing_id": "L"}),
        ((("a.jpg", 1),), {"listing_id": "M"}),
        ((("a.jpg", 1),), {"listing_id": "L", "category": "L"}),
        ((("a.jpg", 1),), {"listing_id": "L", "metadata": "{}", "webhook_url": "http://a.test/"}),
    ],
    ids=["bytes", "name", "number", "listing", "category", "webhook"],
)
def test_the_same_key_with_another_request_is_a_conflict(gateway, client, photos, fields):
    key = f"conflict {photos} {fields}"
    assert post(client, key, listing_id="L").status_code == 202
    before = count(gateway.sessions, "jobs")
    other = post(client, key, photos, **fields)
    assert (other.status_code, slug(other)) == (409, "idempotency-key-reused")
    assert count(gateway.sessions, "jobs") == before


def test_50_parallel_duplicates_make_one_job(gateway):
    before = {table: count(gateway.sessions, table) for table in TABLES}
    barrier = threading.Barrier(50)
    answers: list[httpx.Response] = []

    def send() -> None:
        with httpx.Client(
            base_url=gateway.url, headers={"X-API-Key": gateway.key}, timeout=60, verify=False
        ) as client:
            barrier.wait()
            answers.append(post(client, "parallel", ((("a.jpg"), 3), ("b.jpg", 4))))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    grown = {table: count(gateway.sessions, table) - before[table] for table in TABLES}
    assert grown == {"jobs": 1, "images": 2, "job_events": 1, "idempotency_keys": 1}


def test_a_request_that_was_refused_leaves_its_key_free(gateway, client, start_gateway):
    headers = {"Idempotency-Key": "refused"}
    bad = client.post("/jobs", files=image_files(("a.txt", b"text")), headers=headers)
    assert bad.status_code == 415
    away = f"http://127.0.0.1:{free_port()}"
    with start_gateway(s3_endpoint=away) as blind, blind.client(gateway.key) as other:
        assert slug(post(other, "refused")) == "storage-unavailable"
    answer = post(client, "refused")
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers


def test_another_tenants_key_is_another_key(gateway, client):
    first = post(client, "shared")
    with gateway.client(gateway.new_key("rival", [Scope.JOBS_WRITE])) as rival:
        second = post(rival, "shared")
    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]


def test_a_day_later_the_key_is_free(gateway, client):
    first = post(client, "yesterday")
    with gateway.sessions.begin() as session:
        session.execute(
            text("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'")
        )
    second = post(client, "yesterday", ((("z.jpg"), 9),))
    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ".encode()])
def test_a_key_that_is_none_is_an_invalid_request(client, key):
    response = client.post(
        "/jobs", files=image_files(("a.jpg", jpeg(1))), headers={"Idempotency-Key": key}
    )
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert response.json()["errors"][0]["field"].lower() == "idempotency-key"
