"""A photo's verdict reaches the marketplace's own server, from upload to verified signature."""

import pytest

from tests.support.photos import jpeg
from tests.support.processes import wait_until
from tests.support.receiver import Receiver


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.mark.timeout(420)  # three services start
def test_a_job_tells_its_own_url_and_a_registered_webhook(make_system, receiver):
    system = make_system({"DETECTOR_WEBHOOK_ALLOWED_HOSTS": receiver.host})
    system.gateway()
    system.worker()
    system.webhooks()
    api = system.api.client
    url = f"http://{receiver.host}/registered"
    registered = api.post("/webhooks", json={"url": url}).json()
    default = api.get("/webhooks/default/secret").json()["secret"]

    fields = {"webhook_url": f"http://{receiver.host}/own", "listing_id": "L-7"}
    accepted = system.api.submit([("a.jpg", jpeg(1, 320, 240))], fields)
    assert accepted.status_code == 202, accepted.text
    job_id = accepted.json()["id"]
    wait_until(lambda: len(receiver.received) >= 2, 60, "both are told")

    by_path = {request.path: request for request in receiver.received}
    own = by_path["/own"].verified(default)
    assert own == by_path["/registered"].verified(registered["secret"])
    assert own["type"] == "job.completed"
    assert own["data"] == system.api.job(job_id)
    assert own["data"]["images"][0]["verdict"]["label"] in {"real", "ai_generated", "uncertain"}
    assert by_path["/own"].id == by_path["/registered"].id

    path = f"/webhooks/{registered['id']}/deliveries"
    wait_until(lambda: api.get(path).json()["data"][0]["status"] == "succeeded", 10, "it is logged")
    (delivery,) = api.get(path).json()["data"]
    assert delivery["last_attempt"]["status_code"] == 204

    # A prediction is awaited in its request: nobody is told of it.
    answer = api.post("/predict", files={"file": ("b.jpg", jpeg(2, 320, 240))})
    assert answer.status_code == 200
    tested = api.post(f"/webhooks/{registered['id']}/test").json()
    wait_until(lambda: len(receiver.received) >= 3, 60, "the test event arrives")
    assert [request.id for request in receiver.received[2:]] == [tested["event_id"]]

    # The same bytes once more: no inference, and the marketplace is told all the same.
    again = system.api.submit([("again.jpg", jpeg(1, 320, 240))], fields)
    assert again.status_code == 202, again.text
    wait_until(lambda: len(receiver.received) >= 5, 60, "the repeated photo is told of")
    repeated = {request.path: request for request in receiver.received[3:]}
    body = repeated["/own"].verified(default)
    assert body == repeated["/registered"].verified(registered["secret"])
    assert (body["type"], body["data"]["id"]) == ("job.completed", again.json()["id"])
    judged = own["data"]["images"][0]
    assert body["data"]["images"][0]["verdict"] == {
        **judged["verdict"],
        "reused_from": judged["id"],
    }
    assert repeated["/own"].id != by_path["/own"].id
