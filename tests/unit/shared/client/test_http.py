import time
from pathlib import Path
from uuid import uuid4

import pytest

from shared.client.config import ClientConfig
from shared.client.errors import (
    Conflict,
    GatewayUnreachable,
    JobNotFinished,
    KeyRefused,
    LimitReached,
    NotFound,
    ProblemResponse,
    UnexpectedResponse,
    UploadInterrupted,
)
from shared.client.http import DetectorClient
from shared.client.photo import Photo
from shared.client.retry import RetryPolicy
from shared.contracts.states import JobStatus, Label
from tests.support.fake_gateway import HANG_UP, KEY, FakeGateway, problem
from tests.support.processes import free_port

PHOTO = Photo("real_mug.jpg", b"\xff\xd8 bytes \r\n\x00 of a photo")


def test_a_job_carries_photos_and_fields_in_order(
    gateway: FakeGateway, client: DetectorClient, tmp_path: Path
) -> None:
    path = tmp_path / "on disk.jpg"
    path.write_bytes(b"from a file")
    job = client.jobs.submit(
        [PHOTO, Photo("ai_ü.png", path)],
        listing_id="L-1",
        category="shoes",
        metadata={"seller": 7},
    )
    assert job.status is JobStatus.QUEUED
    assert [image.filename for image in job.images] == ["real_mug.jpg", "ai_ü.png"]
    assert (job.listing_id, job.category, job.metadata) == ("L-1", "shoes", {"seller": 7})
    contents = [content for _name, content in gateway.uploads[0]["images"]]
    assert contents == [PHOTO.source, b"from a file"]


def test_waiting_returns_the_verdicts(client: DetectorClient) -> None:
    job = client.jobs.wait(client.jobs.submit([PHOTO]).id, timeout_seconds=5)
    assert job.status is JobStatus.SUCCEEDED
    assert job.images[0].verdict is not None
    assert job.images[0].verdict.label is Label.REAL


def test_waiting_ends_in_time_with_the_job_as_it_is(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    gateway.finish = False
    job = client.jobs.submit([PHOTO])
    started = time.monotonic()
    with pytest.raises(JobNotFinished) as caught:
        client.jobs.wait(job.id, timeout_seconds=1.2)
    assert 1.0 < time.monotonic() - started < 10.0
    assert caught.value.job_id == job.id
    # A gateway that answers a long poll at once is not asked in a tight loop.
    assert gateway.count("GET", f"/jobs/{job.id}") <= 4


def test_a_refusal_carries_the_problem(gateway: FakeGateway, client: DetectorClient) -> None:
    gateway.script["POST", "/jobs"].append(
        problem(413, "too-large", "a.jpg has 30 MiB, 20 are allowed")
    )
    with pytest.raises(ProblemResponse, match="30 MiB") as caught:
        client.jobs.submit([PHOTO])
    assert (caught.value.code, caught.value.refuses_content) == ("too_large", True)


def test_a_wrong_key_is_told_apart(gateway: FakeGateway) -> None:
    with (
        DetectorClient(ClientConfig(gateway.url, "apd_wrong")) as client,
        pytest.raises(KeyRefused) as caught,
    ):
        client.jobs.submit([PHOTO])
    assert caught.value.refuses_key


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (409, Conflict), (422, ProblemResponse)]
)
def test_a_problem_has_the_class_of_its_status(
    gateway: FakeGateway, client: DetectorClient, status: int, kind: type[ProblemResponse]
) -> None:
    gateway.script["DELETE", "*"].append(problem(status, "some-problem", "no"))
    with pytest.raises(ProblemResponse) as caught:
        client.keys.revoke(uuid4())
    assert type(caught.value) is kind
    assert caught.value.code == "some_problem"


def test_limits_are_told_apart_once_waiting_does_not_help(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    code, headers, body = problem(429, "queue-full", "too many photos wait")
    gateway.script["POST", "/jobs"].append((code, {**headers, "Retry-After": "3600"}, body))
    with pytest.raises(LimitReached):
        client.jobs.submit([PHOTO])


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_gateway_is_asked_again_after_its_time(
    gateway: FakeGateway, client: DetectorClient, status: int
) -> None:
    code, headers, body = problem(status, "busy", "later")
    gateway.script["POST", "/jobs"].append((code, {**headers, "Retry-After": "1"}, body))
    started = time.monotonic()
    client.jobs.submit([PHOTO])
    assert time.monotonic() - started >= 1.0
    assert len(gateway.uploads) == 1
    assert gateway.uploads[0]["images"][0][1] == PHOTO.source


def test_a_wait_longer_than_the_budget_is_a_refusal(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    code, headers, body = problem(503, "storage-unavailable", "away")
    gateway.script["POST", "/jobs"].append((code, {**headers, "Retry-After": "3600"}, body))
    with pytest.raises(ProblemResponse) as caught:
        client.jobs.submit([PHOTO])
    assert caught.value.retry_after_seconds == 3600
    assert gateway.count("POST", "/jobs") == 1


def test_an_upload_whose_answer_was_lost_makes_one_job(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    gateway.lose_answers = 2
    job = client.jobs.submit([PHOTO])
    assert gateway.count("POST", "/jobs") == 3
    assert list(gateway.jobs) == [str(job.id)]
    assert client.jobs.submit([PHOTO]).id != job.id  # each call has a key of its own
    again = [client.jobs.submit([PHOTO], idempotency_key="L-1").id for _ in range(2)]
    assert again[0] == again[1]


def test_a_connection_that_keeps_breaking_leaves_the_outcome_open(gateway: FakeGateway) -> None:
    gateway.lose_answers = 10_000
    retry = RetryPolicy(unreachable=0.2, first=0.05)
    with (
        DetectorClient(ClientConfig(gateway.url, KEY), retry=retry) as client,
        pytest.raises(UploadInterrupted, match="may or may not have accepted"),
    ):
        client.jobs.submit([PHOTO])


def test_a_post_without_a_key_is_not_sent_twice(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    gateway.script["POST", "/predict"].append(HANG_UP)
    with pytest.raises(UploadInterrupted):
        client.jobs.predict(PHOTO)
    assert gateway.count("POST", "/predict") == 1


def test_a_broken_read_is_repeated(gateway: FakeGateway, client: DetectorClient) -> None:
    job = client.jobs.submit([PHOTO])
    gateway.script["GET", f"/jobs/{job.id}"].extend(
        [HANG_UP, (502, {"Content-Type": "text/html"}, "<h1>Bad gateway</h1>")]
    )
    assert client.jobs.get(job.id).status is JobStatus.SUCCEEDED
    assert gateway.count("GET", f"/jobs/{job.id}") == 3


def test_a_gateway_that_is_away_is_named_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    retry = RetryPolicy(unreachable=0.2, first=0.05)
    with (
        DetectorClient(ClientConfig(url, KEY), retry=retry) as client,
        pytest.raises(GatewayUnreachable, match=r"Start one with `make up`"),
    ):
        client.jobs.submit([PHOTO])


def test_an_answer_of_something_else_is_not_taken_for_the_api(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    page = (200, {"Content-Type": "text/html"}, "<html>a captive portal</html>")
    gateway.script["POST", "/jobs"].append(page)
    with pytest.raises(UnexpectedResponse, match="not as a detector gateway does"):
        client.jobs.submit([PHOTO])
    gateway.script["GET", "/health/ready"].append((404, {}, "nothing here"))
    with pytest.raises(UnexpectedResponse):
        client.health()


def test_a_job_with_fewer_images_than_sent_is_refused(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    job = client.jobs.submit([PHOTO])
    gateway.script["POST", "/jobs"].append((202, {}, gateway.jobs[str(job.id)]))
    with pytest.raises(UnexpectedResponse, match="1 images for 2 sent"):
        client.jobs.submit([PHOTO, PHOTO])


def test_an_unknown_job_is_a_problem(client: DetectorClient) -> None:
    with pytest.raises(ProblemResponse, match="no such job") as caught:
        client.jobs.get(uuid4())
    assert caught.value.status == 404


def test_health_is_read_from_a_ready_and_from_an_unready_gateway(
    gateway: FakeGateway, client: DetectorClient
) -> None:
    assert client.health().status == "ok"
    checks = {"database": {"status": "failed", "detail": "refused"}}
    gateway.ready = problem(503, "not-ready", "the database is away", checks=checks)
    health = client.health()
    assert (health.status, health.checks["database"].detail) == ("unavailable", "refused")


def test_file_names_of_any_bytes_can_be_sent(gateway: FakeGateway, client: DetectorClient) -> None:
    client.jobs.submit([Photo('caf\udce9\r\n".jpg', b"x")])
    assert len(gateway.uploads[0]["images"]) == 1
