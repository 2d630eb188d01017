"""`DELETE /jobs/{id}`: what has not started is over; what runs ends normally."""

import threading
from uuid import UUID, uuid4

from sqlalchemy import text

from shared.contracts.scopes import Scope
from shared.contracts.states import Label
from shared.db.jobs import leases, results
from tests.integration.gateway.helpers import MODEL, image_files, judge, slug
from tests.support.photos import jpeg


def submit(client, *seeds):
    response = client.post("/jobs", files=image_files(*((f"{n}.jpg", jpeg(n)) for n in seeds)))
    assert response.status_code == 202, response.text
    return response.json()["id"]


def test_a_job_that_nobody_took_is_cancelled(gateway, client):
    job_id = submit(client, 1, 2)
    answer = client.delete(f"/jobs/{job_id}")
    body = answer.json()
    assert (answer.status_code, body["status"], body["verdict"]) == (200, "cancelled", None)
    assert [image["status"] for image in body["images"]] == ["cancelled", "cancelled"]
    assert body["finished_at"]
    judge(gateway.sessions, job_id)  # the message comes all the same
    assert client.get(f"/jobs/{job_id}").json() == body
    assert client.delete(f"/jobs/{job_id}").json() == body


def test_what_a_worker_holds_ends_normally(gateway, client):
    job_id = submit(client, 3, 4)
    with gateway.sessions.begin() as session:
        first = session.execute(
            text("SELECT id FROM images WHERE job_id = :id AND position = 0"), {"id": UUID(job_id)}
        ).scalar_one()
        lease = leases.acquire(session, [first], 30)
    body = client.delete(f"/jobs/{job_id}").json()
    assert body["status"] == "running"
    assert [image["status"] for image in body["images"]] == ["running", "cancelled"]
    with gateway.sessions.begin() as session:
        outcome = results.Judged(first, MODEL, Label.REAL, 0.1, 0.9, -2.0)
        results.settle(session, lease.id, [outcome])
    done = client.get(f"/jobs/{job_id}").json()
    assert done["status"] == "partial"
    assert done["verdict"]["label"] == "real"
    assert "1 more could not be judged" in done["verdict"]["reason"]


def test_a_finished_job_stays_as_it_is(gateway, client):
    job_id = submit(client, 5)
    judge(gateway.sessions, job_id)
    before = client.get(f"/jobs/{job_id}").json()
    assert before["status"] == "succeeded"
    answer = client.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()) == (200, before)


def test_a_long_poll_hears_of_the_cancellation(gateway, client):
    job_id = submit(client, 6)
    answers = []

    def wait():
        with gateway.client() as own:
            answers.append(own.get(f"/jobs/{job_id}", params={"wait": 30}).json()["status"])

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.5)
    assert not answers
    client.delete(f"/jobs/{job_id}")
    thread.join(10)
    assert answers == ["cancelled"]


def test_another_tenants_job_is_not_found_and_not_touched(gateway, client):
    job_id = submit(client, 7)
    with gateway.client(gateway.new_key("rival", [Scope.JOBS_WRITE])) as rival:
        for path in (f"/jobs/{job_id}", f"/jobs/{uuid4()}"):
            answer = rival.delete(path)
            assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert client.get(f"/jobs/{job_id}").json()["status"] == "queued"


def test_reading_is_not_enough_to_cancel(gateway, client):
    job_id = submit(client, 8)
    with gateway.client(gateway.new_key("shop", [Scope.JOBS_READ])) as reader:
        answer = reader.delete(f"/jobs/{job_id}")
    assert (answer.status_code, slug(answer)) == (403, "missing-scope")
