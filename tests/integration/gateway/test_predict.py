"""`POST /predict`: the way of a job, awaited."""

import threading

import pytest

from shared.contracts.errors import ImageErrorCode
from shared.contracts.states import Label
from tests.integration.gateway.helpers import count, image_files, judge, slug
from tests.support.photos import jpeg


@pytest.fixture
def worker(gateway):
    """A function that settles every job as it appears, until the test ends."""
    from sqlalchemy import text

    stop = threading.Event()
    threads = []

    def start(**outcome):
        def work():
            while not stop.wait(0.02):
                with gateway.sessions() as session:
                    jobs = session.execute(text("SELECT id FROM jobs WHERE status = 'queued'"))
                    ids = list(jobs.scalars())
                for job_id in ids:
                    judge(gateway.sessions, str(job_id), **outcome)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def predict(client, data):
    return client.post("/predict", files=image_files(("mug.jpg", data), field="file"))


def test_it_answers_with_the_verdict(client, worker):
    worker(probability=0.88, label=Label.AI_GENERATED)
    response = predict(client, jpeg(1))
    body = response.json()
    assert response.status_code == 200
    assert body.pop("inference_time_ms") > 0
    assert body == {
        "prediction": "ai_generated",
        "probability": 0.88,
        "confidence": 0.88,
        "model_version": "b0-test.1",
        "basis": "pixels",
        "pixels_probability": 0.88,
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ImageErrorCode.TRUNCATED_IMAGE, 422),
        (ImageErrorCode.UNREADABLE_IMAGE, 422),
        (ImageErrorCode.INFERENCE_FAILED, 500),
        (ImageErrorCode.OBJECT_MISSING, 500),
        (ImageErrorCode.ATTEMPTS_EXHAUSTED, 500),
    ],
)
def test_a_photo_that_cannot_be_judged_is_a_problem_of_its_code(client, worker, code, status):
    worker(failed=code)
    response = predict(client, jpeg(2))
    assert (response.status_code, slug(response)) == (status, code.replace("_", "-"))
    body = response.json()
    assert [error["code"] for error in body["errors"]] == [code]
    assert client.get(body["job"]).json()["status"] == "failed"


def test_too_long_a_wait_answers_504_and_loses_nothing(start_gateway):
    with start_gateway(gateway_predict_seconds=0.5) as gateway, gateway.client() as client:
        before = count(gateway.sessions, "jobs")
        response = predict(client, jpeg(3))
        assert (response.status_code, slug(response)) == (504, "prediction-pending")
        job = response.json()["job"]
        assert response.headers["location"] == job
        assert count(gateway.sessions, "jobs") == before + 1
        judge(gateway.sessions, job.removeprefix("/jobs/"), 0.7)
        assert client.get(job).json()["images"][0]["verdict"]["probability"] == 0.7
