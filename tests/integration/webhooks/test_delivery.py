"""Deliveries to a real receiver, verified by the official Standard Webhooks library."""

import json

import pytest
from sqlalchemy import text
from standardwebhooks.webhooks import WebhookVerificationError

from shared.contracts.errors import ImageErrorCode
from shared.contracts.events import EndpointStatus
from shared.db.jobs import results
from shared.db.jobs import rows as jobs
from shared.db.models import Job
from shared.db.webhooks import deliveries
from shared.db.webhooks import endpoints as webhooks
from shared.keys.signing_secrets import new_secret
from tests.support.processes import wait_until
from tests.support.receiver import Answer

# The default: 0, 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
SCHEDULE_SECONDS = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
# How late an attempt may be on a busy machine.
_LATE_SECONDS = 8.0


def test_a_finished_job_reaches_every_endpoint_signed_and_with_the_jobs_own_body(
    shop, receiver, dispatching
):
    endpoint = shop.endpoint(receiver.url)
    refused = jobs.NewImage(
        "a.jpg", 0, error_code=ImageErrorCode.EMPTY_FILE.value, error_detail="empty"
    )
    with dispatching():
        with shop.sessions.begin() as session:
            new = jobs.NewJob(shop.tenant, "r", [refused], listing_id="L-1")
            job_id = jobs.insert_job(session, new)
        shop.wait_for("succeeded")
    (request,) = receiver.received
    body = request.verified(shop.secrets[endpoint])
    assert (body["type"], body["data"]["id"]) == ("job.failed", str(job_id))
    assert body["data"]["listing_id"] == "L-1"
    assert body["data"]["images"][0]["error"]["code"] == "empty_file"
    assert body["timestamp"].endswith("Z")
    assert request.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        request.verified(new_secret())


def test_a_cancelled_job_tells_its_own_url_and_every_endpoint_that_it_is_over(
    shop, receiver, dispatching
):
    endpoint = shop.endpoint(receiver.url, ("job.completed",))
    shop.endpoint(receiver.url, ("job.failed",))
    waiting = jobs.NewImage("a.jpg", 9, sha256="0" * 64, object_key="k")
    with shop.sessions.begin() as session:
        new = jobs.NewJob(shop.tenant, "r", [waiting] * 2, webhook_url=f"{receiver.url}/own")
        job_id = jobs.insert_job(session, new)
    with dispatching():
        for _ in range(2):  # cancelled once more, nothing more is told
            with shop.sessions.begin() as session:
                results.cancel_jobs(session, [job_id])
        shop.wait_for("succeeded", "succeeded")
    assert {request.path for request in receiver.received} == {"/hook", "/hook/own"}
    (signed,) = [request for request in receiver.received if request.path == "/hook"]
    body = signed.verified(shop.secrets[endpoint])
    assert (body["type"], body["data"]["id"]) == ("job.completed", str(job_id))
    assert (body["data"]["status"], body["data"]["verdict"]) == ("cancelled", None)
    assert [image["status"] for image in body["data"]["images"]] == ["cancelled"] * 2
    assert len({request.id for request in receiver.received}) == 1


def test_a_receiver_that_fails_six_times_gets_each_event_with_the_same_id_and_body(
    shop, receiver, dispatching
):
    endpoint = shop.endpoint(receiver.url)
    seen: dict[str, int] = {}

    def fail_six_times(request, _before):
        seen[request.id] = seen.get(request.id, 0) + 1
        return Answer(500 if seen[request.id] <= 6 else 200)

    receiver.answer = fail_six_times
    with dispatching():
        told = shop.tell(3)
        shop.wait_for(*["succeeded"] * 3)
    assert seen == dict.fromkeys(told, 7)
    for event in told:
        sent = [request for request in receiver.received if request.id == event]
        assert len({request.body for request in sent}) == 1
        for request in sent:
            assert request.verified(shop.secrets[endpoint])["type"] == "verdict.changed"
    attempts = shop.rows("SELECT status_code, error, count(*) FROM webhook_attempts GROUP BY 1, 2")
    assert {(row[0], row[2]) for row in attempts} == {(500, 18), (200, 3)}


def test_attempts_follow_the_schedule_and_then_the_delivery_has_failed(shop, receiver, dispatching):
    shop.endpoint(receiver.url)
    receiver.answer = lambda *_: Answer(503)
    scale = 0.00004
    with dispatching(webhook_clock_scale=scale, webhook_disable_after_seconds=1e9):
        shop.tell()
        shop.wait_for("failed", seconds=60)
    assert len(receiver.received) == len(SCHEDULE_SECONDS)
    waited = [b.at - a.at for a, b in zip(receiver.received, receiver.received[1:], strict=False)]
    for seconds, wanted in zip(waited, SCHEDULE_SECONDS[1:], strict=True):
        assert wanted * scale <= seconds <= wanted * scale + _LATE_SECONDS


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(302, {"Location": "/elsewhere"}), "redirect"),
        (Answer(400, body=b"no \x00 thanks"), "refused: status 400"),
        (Answer(200, delay=4.0), "fetch_timeout"),
    ],
)
def test_only_2xx_in_time_counts_and_the_log_says_what_came(
    shop, receiver, dispatching, answer, error
):
    shop.endpoint(receiver.url)
    receiver.answer = lambda _request, before: Answer() if before else answer
    with dispatching(webhook_timeout_seconds=2.0):
        shop.tell()
        shop.wait_for("succeeded")
    assert [request.path for request in receiver.received] == ["/hook", "/hook"]
    first, second = shop.rows("SELECT * FROM webhook_attempts ORDER BY id")
    assert error in first.error
    assert first.status_code == (None if answer.delay else answer.status)
    assert first.response_body == ("no � thanks" if answer.body else None if answer.delay else "")
    assert (second.error, second.status_code) == (None, 204)


def test_410_disables_the_endpoint_and_tells_the_others(shop, receiver, dispatching):
    gone = shop.endpoint(f"{receiver.url}/gone", ("verdict.changed",))
    other = shop.endpoint(f"{receiver.url}/other", ("endpoint.disabled",))
    receiver.answer = lambda request, _: Answer(410 if request.path.endswith("gone") else 200)
    with dispatching():
        shop.tell()
        shop.wait_for("failed", "succeeded")
        shop.tell()
    (row,) = shop.rows("SELECT * FROM webhook_endpoints WHERE status = 'disabled'")
    assert (row.id, row.disabled_reason) == (gone, "the receiver answered 410 Gone")
    assert [request.path for request in receiver.received] == ["/hook/gone", "/hook/other"]
    told = receiver.received[1].verified(shop.secrets[other])
    assert told["type"] == "endpoint.disabled"
    assert told["data"]["webhook_id"] == str(gone)


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_recovers_what_it_missed(
    shop, receiver, dispatching
):
    failing = shop.endpoint(receiver.url)
    receiver.answer = lambda *_: Answer(500)

    def fails_since(age: str) -> None:
        with shop.sessions.begin() as session:
            session.execute(
                text("UPDATE webhook_endpoints SET failing_since = now() - CAST(:age AS interval)"),
                {"age": age},
            )

    with dispatching(webhook_clock_scale=1.0):
        fails_since("4 days 23 hours")
        told = shop.tell()
        wait_until(lambda: shop.rows("SELECT FROM webhook_attempts"), 20, "the first attempt")
        assert shop.statuses() == ["pending"]
        fails_since("5 days 1 hour")
        told += shop.tell()
        shop.wait_for("failed", "failed")
        (row,) = shop.rows("SELECT status, disabled_reason FROM webhook_endpoints")
        assert row == ("disabled", "every delivery failed for too long")
        assert shop.rows("SELECT FROM webhook_events WHERE type = 'endpoint.disabled'")
        told += shop.tell()
        receiver.answer = lambda *_: Answer(200)
        receiver.received.clear()
        with shop.sessions.begin() as session:
            endpoint = webhooks.get_endpoint(session, shop.tenant, failing, lock=True)
            changes = webhooks.EndpointChanges(status=EndpointStatus.ENABLED)
            webhooks.update_endpoint(session, endpoint, changes)
            assert deliveries.recover(session, failing, endpoint.created_at, None) == 3
        shop.wait_for(*["succeeded"] * 3)
    assert sorted(request.id for request in receiver.received) == sorted(told)


def test_retry_after_is_honoured(shop, receiver, dispatching):
    shop.endpoint(receiver.url)
    receiver.answer = lambda _, before: Answer() if before else Answer(429, {"Retry-After": "9000"})
    with dispatching():
        shop.tell()
        shop.wait_for("succeeded")
    first, second = receiver.received
    assert second.at - first.at >= 0.9  # not the schedule's half a millisecond


def test_a_slow_receiver_holds_up_no_other(shop, receiver, dispatching):
    shop.endpoint(f"{receiver.url}/slow")
    shop.endpoint(f"{receiver.url}/quick")
    receiver.answer = lambda request, _: Answer(delay=2 if request.path.endswith("slow") else 0)
    with dispatching(webhook_threads=6, webhook_endpoint_concurrency=2):
        shop.tell(8)
        shop.wait_for(*["succeeded"] * 16, seconds=60)
    arrivals = {
        kind: sorted(request.at for request in receiver.received if request.path.endswith(kind))
        for kind in ("slow", "quick")
    }
    slow = arrivals["slow"]
    assert arrivals["quick"][-1] < slow[-1]
    # Never more than two at a time: the third comes only once the first was answered.
    assert all(later - earlier >= 1.9 for earlier, later in zip(slow, slow[2:], strict=False))


def test_a_rotated_secret_signs_beside_the_new_one_until_its_grace_ends(
    shop, receiver, dispatching
):
    endpoint = shop.endpoint(receiver.url)
    old, new = shop.secrets[endpoint], new_secret()
    with shop.sessions.begin() as session:
        webhooks.rotate_secret(session, endpoint, shop.box.seal(new), 3600)
    with dispatching():
        shop.tell()
        shop.wait_for("succeeded")
        with shop.sessions.begin() as session:
            newest = new_secret()
            webhooks.rotate_secret(session, endpoint, shop.box.seal(newest), 0)
        shop.tell()
        shop.wait_for("succeeded", "succeeded")
    first, second = receiver.received
    assert first.verified(old) == first.verified(new)
    assert len(second.headers["webhook-signature"].split()) == 2
    assert second.verified(newest) == second.verified(old)
    with pytest.raises(WebhookVerificationError):
        second.verified(new)


def test_a_jobs_own_url_is_signed_with_the_tenants_default_secret(shop, receiver, dispatching):
    with dispatching():
        shop.tell(2, url=f"{receiver.url}/own")
        shop.wait_for("succeeded", "succeeded")
        receiver.answer = lambda *_: Answer(410)
        shop.tell(1, url=f"{receiver.url}/own")
        shop.wait_for("failed", "succeeded", "succeeded")
    (row,) = shop.rows("SELECT * FROM webhook_secrets")
    secret = shop.box.open(row.ciphertext)
    for request in receiver.received:
        assert request.path == "/hook/own"
        assert request.verified(secret)
    (default,) = shop.rows("SELECT status FROM webhook_endpoints")
    assert default.status == "enabled", "a 410 is the word of one URL only"


def test_an_address_inside_the_network_gets_nothing(shop, receiver, dispatching):
    shop.endpoint(receiver.url)
    with dispatching(webhook_allowed_hosts="", webhook_schedule=(0.0, 5.0)):
        shop.tell()
        shop.wait_for("failed")
    assert receiver.received == []
    errors = {row.error for row in shop.rows("SELECT error FROM webhook_attempts")}
    assert len(errors) == 1
    assert next(iter(errors)).startswith("blocked_address")


def test_a_replayed_delivery_is_sent_again_with_its_id(shop, receiver, dispatching):
    endpoint = shop.endpoint(receiver.url)
    with dispatching():
        (event,) = shop.tell()
        shop.wait_for("succeeded")
        (row,) = shop.rows("SELECT id FROM webhook_deliveries")
        with shop.sessions.begin() as session:
            assert deliveries.replay(session, endpoint, row.id)
        wait_until(lambda: len(receiver.received) == 2, 10, "the replay arrives")
        shop.wait_for("succeeded")
    assert [request.id for request in receiver.received] == [event, event]
    assert json.loads(receiver.received[0].body) == json.loads(receiver.received[1].body)


def test_a_job_deleted_before_its_event_was_sent_is_told_by_its_id(shop, receiver, dispatching):
    endpoint = shop.endpoint(receiver.url)
    refused = jobs.NewImage("a", 0, error_code="empty_file", error_detail="empty")
    with shop.sessions.begin() as session:
        job_id = jobs.insert_job(session, jobs.NewJob(shop.tenant, "r", [refused]))
    with shop.sessions.begin() as session:
        session.delete(session.get_one(Job, job_id))
    with dispatching():
        shop.wait_for("succeeded")
    data = receiver.received[0].verified(shop.secrets[endpoint])["data"]
    assert data == {"job_id": str(job_id)}


def test_what_is_past_its_time_is_deleted_but_nothing_that_is_still_to_be_sent(shop, receiver):
    shop.endpoint(receiver.url)
    shop.tell(3)
    with shop.sessions.begin() as session:
        (kept, *_), now = deliveries.claim(session, 1, 1, 1), -1.0
        assert deliveries.tidy(session, now) == 0
    with shop.sessions.begin() as session:
        record = deliveries.AttemptRecord(200, 1.0, "", None)
        deliveries.record_success(session, kept, record)
        assert deliveries.tidy(session, 3600) == 0
        assert deliveries.tidy(session, now) == 1
    assert shop.statuses() == ["pending", "pending"]
