"""Acceptance is durable (G1); reading a job, and waiting for it."""

import threading
import time
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.contracts.errors import ImageErrorCode
from shared.contracts.states import Label
from shared.storage.port import sha256_hex
from tests.integration.gateway.helpers import count, image_files, judge, slug
from tests.support.photos import jpeg
from tests.support.processes import free_port, wait_until

TABLES = ("jobs", "images", "outbox", "job_events")


def submit(client, *seeds):
    response = client.post("/jobs", files=image_files(*((f"{n}.jpg", jpeg(n)) for n in seeds)))
    assert response.status_code == 202, response.text
    return response.json()


def test_202_means_that_bytes_and_rows_are_there(gateway, client):
    response = client.post("/jobs", files=image_files(("a.jpg", jpeg(1)), ("b.jpg", jpeg(2))))
    body = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == body["links"]["self"] == f"/jobs/{body['id']}"
    assert int(response.headers["retry-after"]) >= 1
    assert body["status"] == "queued"
    with gateway.sessions() as session:
        rows = session.execute(
            text("SELECT * FROM images WHERE job_id = :id ORDER BY position"),
            {"id": UUID(body["id"])},
        ).all()
        request_id = session.execute(
            text("SELECT request_id FROM jobs WHERE id = :id"), {"id": UUID(body["id"])}
        ).scalar_one()
    assert request_id == response.headers["x-request-id"]
    store = gateway.servers.store()
    for row, seed in zip(rows, (1, 2), strict=True):
        data = store.get(row.object_key, row.size, row.sha256)
        assert data == jpeg(seed)
        assert row.sha256 == sha256_hex(data)
        assert (row.content_type, row.width, row.height) == ("image/jpeg", 320, 240)
        assert row.filename not in row.object_key


def test_the_message_reaches_the_broker_right_after_the_commit(gateway, client):
    submit(client, 3)

    def unsent():
        with gateway.sessions() as session:
            return session.execute(
                text("SELECT count(*) FROM outbox WHERE sent_at IS NULL")
            ).scalar_one()

    wait_until(lambda: unsent() == 0, 5, "the outbox is empty")


def test_accepted_without_a_broker_is_durable_all_the_same(start_gateway):
    with start_gateway(redis_url=f"redis://127.0.0.1:{free_port()}/0") as gateway:
        with gateway.client() as client:
            job = submit(client, 4)
            assert client.get(job["links"]["self"]).json()["status"] == "queued"
        with gateway.sessions() as session:
            row = session.execute(
                text("SELECT payload FROM outbox WHERE sent_at IS NULL ORDER BY id DESC LIMIT 1")
            ).scalar_one()
        assert row == {"image_ids": [job["images"][0]["id"]]}


def test_without_the_object_store_nothing_is_accepted(start_gateway):
    with start_gateway(s3_endpoint=f"http://127.0.0.1:{free_port()}") as gateway:
        before = {table: count(gateway.sessions, table) for table in TABLES}
        with gateway.client() as client:
            for path, field in (("/jobs", "images"), ("/predict", "file")):
                photo = image_files(("a.jpg", jpeg(0)), field=field)
                response = client.post(path, files=photo)
                assert (response.status_code, slug(response)) == (503, "storage-unavailable")
                assert int(response.headers["retry-after"]) > 0
        assert {table: count(gateway.sessions, table) for table in TABLES} == before


def test_without_the_database_nothing_is_confirmed(start_gateway, gateway):
    dead = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"
    with start_gateway(database_url=dead) as blind, gateway.client() as client:
        client.base_url = blind.url
        for response in (
            client.post("/jobs", files=image_files(("a.jpg", jpeg(0)))),
            client.get(f"/jobs/{uuid4()}"),
        ):
            assert (response.status_code, slug(response)) == (503, "database-unavailable")
            assert int(response.headers["retry-after"]) > 0
            assert "nobody" not in response.text


def test_a_job_without_a_verdict_says_when_to_look_again(client):
    job = submit(client, 5)
    response = client.get(job["links"]["self"])
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.json() == job


def test_a_finished_job_shows_verdicts_and_the_listing_verdict(gateway, client):
    job = submit(client, 6, 7)
    judge(gateway.sessions, job["id"], 0.93)
    response = client.get(job["links"]["self"])
    body = response.json()
    assert "retry-after" not in response.headers
    assert body["status"] == "succeeded"
    assert body["started_at"] <= body["finished_at"]
    assert body["images"][0]["verdict"] == {
        "label": "ai_generated",
        "probability": 0.93,
        "confidence": 0.93,
        "model_version": "b0-test.1",
        "basis": "pixels",
        "pixels_probability": 0.93,
        "evidence": [],
        "judged_with": {},
        "reused_from": None,
    }
    assert body["verdict"]["label"] == "ai_generated"
    assert body["verdict"]["image_id"] in [image["id"] for image in body["images"]]
    assert "2 of 2" in body["verdict"]["reason"]


def test_a_failed_job_has_errors_and_no_listing_verdict(gateway, client):
    job = submit(client, 8)
    judge(gateway.sessions, job["id"], failed=ImageErrorCode.TRUNCATED_IMAGE)
    body = client.get(job["links"]["self"]).json()
    assert (body["status"], body["verdict"]) == ("failed", None)
    assert body["images"][0]["error"]["code"] == "truncated_image"


@pytest.mark.parametrize("path", ["/jobs/7", "/jobs/not-a-uuid"])
def test_an_id_that_is_none_is_an_invalid_request(client, path):
    response = client.get(path)
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert response.json()["errors"][0]["field"] == "job_id"


@pytest.mark.parametrize("wait", ["-1", "31", "soon", "nan", "inf"])
def test_a_wait_out_of_range_is_an_invalid_request(client, wait):
    response = client.get(f"/jobs/{uuid4()}", params={"wait": wait})
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert response.json()["errors"][0]["field"] == "wait"


def test_a_wait_that_sees_no_end_answers_with_the_state(client):
    job = submit(client, 9)
    started = time.monotonic()
    body = client.get(job["links"]["self"], params={"wait": 0.7}).json()
    assert 0.7 <= time.monotonic() - started < 20
    assert body["status"] == "queued"


def finish_later(gateway, job_id, seconds):
    """Judge the job in a moment; returns when it was committed, in a list."""
    committed = []

    def work():
        judge(gateway.sessions, job_id)
        committed.append(time.monotonic())

    timer = threading.Timer(seconds, work)
    timer.start()
    return timer, committed


def test_a_wait_is_woken_by_the_notification(gateway, client):
    """The gateway looks at the database every 60 s here: only NOTIFY can be this fast."""
    job = submit(client, 10)
    timer, committed = finish_later(gateway, job["id"], 0.5)
    body = client.get(job["links"]["wait"]).json()
    answered = time.monotonic()
    timer.join()
    assert body["status"] == "succeeded"
    assert answered - committed[0] < 5.0


def test_30_waits_are_woken_each_by_its_own_job(gateway):
    with gateway.client() as client:
        jobs = [submit(client, n)["id"] for n in range(30)]
    answers = {}

    def wait(job_id):
        with gateway.client() as own:
            answers[job_id] = own.get(f"/jobs/{job_id}", params={"wait": 30}).json()["status"]

    threads = [threading.Thread(target=wait, args=(job_id,)) for job_id in jobs]
    for thread in threads:
        thread.start()
    for job_id in jobs[:20]:
        judge(gateway.sessions, job_id)
    for thread in threads[:20]:
        thread.join(15)
    assert {answers[job_id] for job_id in jobs[:20]} == {"succeeded"}
    assert not set(answers) & set(jobs[20:])
    for job_id in jobs[20:]:
        judge(gateway.sessions, job_id)
    for thread in threads[20:]:
        thread.join(15)
    assert set(answers) == set(jobs)


def test_waits_survive_the_loss_of_the_listening_connection(gateway, client):
    job = submit(client, 11)
    timer, committed = finish_later(gateway, job["id"], 1.5)
    with gateway.sessions.begin() as session:
        killed = session.execute(
            text("""
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'detector-gateway-listener'
            AND datname = current_database()
            """)
        ).scalar_one()
    assert killed == 1
    body = client.get(job["links"]["wait"]).json()
    timer.join()
    assert body["status"] == "succeeded"
    assert time.monotonic() - committed[0] < 10


def test_a_wait_ends_early_when_the_gateway_shuts_down(start_gateway):
    answers = []

    def wait(gateway, path):
        with gateway.client() as client:
            answers.append(client.get(path, params={"wait": 30}))

    with start_gateway() as gateway:
        with gateway.client() as client:
            path = submit(client, 12)["links"]["self"]
        thread = threading.Thread(target=wait, args=(gateway, path))
        thread.start()
        time.sleep(0.5)
        assert not answers
        started = time.monotonic()
    thread.join()
    assert time.monotonic() - started < 15
    assert (answers[0].status_code, answers[0].json()["status"]) == (200, "queued")


def test_metadata_is_stored_as_it_came(gateway, client):
    response = client.post(
        "/jobs", files=image_files(("a.jpg", jpeg(0))), data={"metadata": '{"ключ": [1.5, "é"]}'}
    )
    job = client.get(response.headers["location"]).json()
    assert job["metadata"] == {"ключ": [1.5, "é"]}


def test_the_label_real_reaches_the_listing(gateway, client):
    job = submit(client, 13)
    judge(gateway.sessions, job["id"], 0.02, Label.REAL)
    assert client.get(job["links"]["self"]).json()["verdict"]["label"] == "real"
