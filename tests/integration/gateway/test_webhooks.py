"""The webhooks API on a real gateway; what is sent is tested with the service itself."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from shared.contracts.events import EventType
from shared.contracts.scopes import Scope
from shared.db.tenants.keys import get_or_create_tenant
from shared.db.webhooks import deliveries
from shared.db.webhooks.events import emit
from tests.integration.gateway.helpers import RawConnection, slug

URL = "https://shop.example/hooks"


@pytest.fixture
def tenant(gateway) -> str:
    """A tenant of this test alone."""
    return f"shop-{uuid4()}"


@pytest.fixture
def client(gateway, tenant):
    with gateway.client(gateway.new_key(tenant, [Scope.WEBHOOKS])) as client:
        yield client


def create(client, **facts):
    response = client.post("/webhooks", json={"url": URL, **facts})
    assert response.status_code == 201, response.text
    body = response.json()
    assert response.headers["location"] == f"/webhooks/{body['id']}"
    return body


def tell(gateway, tenant, url=None) -> str:
    with gateway.sessions.begin() as session:
        tenant_id = get_or_create_tenant(session, tenant)
        return str(emit(session, tenant_id, EventType.DRIFT_DETECTED, {"score": 0.4}, url))


def settle(gateway, status_code=500, delay=None) -> None:
    """Attempt what is due, as the dispatcher does, and give up on failures."""
    with gateway.sessions.begin() as session:
        for claimed in deliveries.claim(session, 100, 100, 60):
            failed = None if status_code < 300 else f"refused: status {status_code}"
            record = deliveries.AttemptRecord(status_code, 12.34, "hm", failed)
            if failed:
                deliveries.record_failure(session, claimed, record, delay)
            else:
                deliveries.record_success(session, claimed, record)


def test_a_webhook_is_created_read_changed_and_deleted(client):
    created = create(client, events=["job.completed"], description="T&S")
    assert Webhook(created.pop("secret"))
    assert created["status"] == "enabled"
    path = f"/webhooks/{created['id']}"
    assert client.get(path).json() == created
    assert client.get("/webhooks").json() == {"data": [created]}
    changed = client.patch(path, json={"events": [], "url": "https://other.example/"}).json()
    assert changed == {**created, "events": [], "url": "https://other.example/"}
    assert client.delete(path).status_code == 204
    for response in (client.get(path), client.delete(path), client.patch(path, json={})):
        assert (response.status_code, slug(response)) == (404, "not-found")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "url", "missing"),
        ({"url": "ftp://shop.example/"}, "url", "invalid_url"),
        ({"url": "https://user:pass@shop.example/"}, "url", "invalid_url"),
        ({"url": "http://127.0.0.1/"}, "url", "blocked_address"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "blocked_address"),
        ({"url": "http://2130706433/"}, "url", "blocked_address"),
        ({"url": "https://shop.example:8443/"}, "url", "blocked_address"),
        ({"url": URL, "events": ["job.finished"]}, "events.0", "enum"),
        ({"url": URL, "descripton": "misspelt"}, "descripton", "extra_forbidden"),
        ({"url": URL, "description": "a\u0000b"}, "description", "string_pattern_mismatch"),
    ],
)
def test_what_cannot_work_is_refused_at_once_with_the_field(client, body, field, code):
    response = client.post("/webhooks", json=body)
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert [(item["field"], item["code"]) for item in response.json()["errors"]] == [(field, code)]


def test_bodies_that_are_no_json_too_long_or_slow_are_problems(client, gateway, tenant):
    response = client.post("/webhooks", content=b"{", headers={"content-type": "application/json"})
    assert slug(response) == "invalid-request"
    response = client.post("/webhooks", json={"url": URL, "description": "x" * 70_000})
    assert (response.status_code, slug(response)) == (413, "too-large")
    with RawConnection(gateway.port) as connection:
        key = gateway.new_key(tenant, [Scope.WEBHOOKS])
        connection.send(
            f"POST /webhooks HTTP/1.1\r\nHost: t\r\nX-API-Key: {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{".encode()
        )
        status, _, body = connection.answer()
    assert (status, body["type"]) == (408, "/problems/upload-timeout")


def test_the_scope_and_the_tenant_are_checked(client, gateway):
    created = create(client)
    other = gateway.new_key(f"other-{uuid4()}", [Scope.WEBHOOKS])
    with gateway.client(other) as stranger:
        assert stranger.get("/webhooks").json() == {"data": []}
        for method, path, body in [
            ("GET", "", None),
            ("PATCH", "", {"url": URL}),
            ("DELETE", "", None),
            ("GET", "/secret", None),
            ("POST", "/rotate", {}),
            ("POST", "/test", None),
            ("GET", "/deliveries", None),
            ("GET", f"/deliveries/{uuid4()}", None),
            ("POST", f"/deliveries/{uuid4()}/replay", None),
            ("POST", "/recover", {"since": "2026-01-01T00:00:00Z"}),
        ]:
            response = stranger.request(method, f"/webhooks/{created['id']}{path}", json=body)
            assert (response.status_code, slug(response)) == (404, "not-found"), path
    with gateway.client() as reader:
        response = reader.get("/webhooks")
        assert (response.status_code, slug(response)) == (403, "missing-scope")


def test_secrets_are_encrypted_at_rest_and_rotate_with_a_grace(client, gateway):
    created = create(client)
    path = f"/webhooks/{created['id']}"
    assert client.get(f"{path}/secret").json() == {"secret": created["secret"], "previous": []}
    rotated = client.post(f"{path}/rotate", json={"grace_seconds": 60}).json()
    assert rotated["secret"] != created["secret"]
    (previous,) = rotated["previous"]
    assert previous["secret"] == created["secret"]
    ends_in = datetime.fromisoformat(previous["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=30) < ends_in <= timedelta(seconds=60)
    assert client.get(f"{path}/secret").json() == rotated
    last = client.post(f"{path}/rotate", json={"grace_seconds": 0}).json()
    assert [item["secret"] for item in last["previous"]] == [created["secret"]]
    # Without a body: the usual day of grace.
    assert len(client.post(f"{path}/rotate").json()["previous"]) == 2
    with gateway.sessions() as session:
        stored = session.execute(text("SELECT ciphertext FROM webhook_secrets")).scalars().all()
    assert not any(b"whsec" in bytes(row) for row in stored)


def test_the_default_secret_is_made_once_and_its_deliveries_are_listed(client, gateway, tenant):
    secret = client.get("/webhooks/default/secret").json()
    assert client.get("/webhooks/default/secret").json() == secret
    assert client.get("/webhooks").json() == {"data": []}
    event = tell(gateway, tenant, "https://once.example/")
    (delivery,) = client.get("/webhooks/default/deliveries").json()["data"]
    assert (delivery["event_id"], delivery["url"]) == (event, "https://once.example/")
    default = client.get("/webhooks/default").json()
    assert (default["is_default"], default["url"]) == (True, None)
    for response in (
        client.delete(f"/webhooks/{default['id']}"),
        client.patch(f"/webhooks/{default['id']}", json={"status": "disabled"}),
        client.post(f"/webhooks/{default['id']}/test"),
    ):
        assert response.status_code == 404


def test_a_test_event_goes_to_this_webhook_whatever_it_wants(client):
    wanted, other = create(client, events=["job.failed"]), create(client)
    response = client.post(f"/webhooks/{wanted['id']}/test")
    assert response.status_code == 202
    delivery = response.json()
    assert (delivery["event_type"], delivery["status"]) == ("endpoint.test", "pending")
    path = f"/webhooks/{wanted['id']}/deliveries/{delivery['id']}"
    detail = client.get(path).json()
    assert (detail["log"], detail["payload"]) == ([], None)
    assert client.get(f"/webhooks/{other['id']}/deliveries").json()["data"] == []


def test_the_log_tells_each_attempt_and_a_replay_begins_anew(client, gateway, tenant):
    webhook = create(client)
    event = tell(gateway, tenant)
    settle(gateway, 500, delay=0.0)
    settle(gateway, 503)
    path = f"/webhooks/{webhook['id']}/deliveries"
    (delivery,) = client.get(path, params={"status": "failed"}).json()["data"]
    assert (delivery["event_id"], delivery["attempts"]) == (event, 2)
    assert delivery["last_attempt"]["error"] == "refused: status 503"
    detail = client.get(f"{path}/{delivery['id']}").json()
    assert [attempt["status_code"] for attempt in detail["log"]] == [500, 503]
    assert detail["log"][0]["latency_ms"] == 12.3
    assert detail["log"][0]["response_body"] == "hm"
    replayed = client.post(f"{path}/{delivery['id']}/replay")
    assert replayed.status_code == 202
    assert (replayed.json()["status"], replayed.json()["attempts"]) == ("pending", 0)
    settle(gateway, 200)
    assert client.get(f"{path}/{delivery['id']}").json()["status"] == "succeeded"
    assert client.post(f"{path}/{uuid4()}/replay").status_code == 404


def test_pages_of_the_log_are_stable_while_more_comes(client, gateway, tenant):
    webhook = create(client)
    events = [tell(gateway, tenant) for _ in range(5)]
    seen, path = [], f"/webhooks/{webhook['id']}/deliveries?limit=2"
    while path:
        page = client.get(path).json()
        seen += [delivery["event_id"] for delivery in page["data"]]
        path = page["links"]["next"]
        tell(gateway, tenant)
    assert seen == events[::-1]
    response = client.get(f"/webhooks/{webhook['id']}/deliveries", params={"cursor": "x"})
    assert (response.status_code, slug(response)) == (422, "invalid-request")


def test_what_was_missed_while_disabled_is_recovered_by_window(client, gateway, tenant):
    webhook = create(client, events=["drift.detected"])
    path = f"/webhooks/{webhook['id']}"
    since = datetime.now(UTC) - timedelta(seconds=5)
    received = tell(gateway, tenant)
    settle(gateway, 200)
    pending = tell(gateway, tenant)
    disabled = client.patch(path, json={"status": "disabled"}).json()
    assert disabled["disabled_reason"] == "disabled through the API"
    missed = tell(gateway, tenant)
    for response in (
        client.post(f"{path}/test"),
        client.post(f"{path}/recover", json={"since": since.isoformat()}),
    ):
        assert (response.status_code, slug(response)) == (409, "webhook-disabled")
    enabled = client.patch(path, json={"status": "enabled"}).json()
    assert (enabled["disabled_at"], enabled["disabled_reason"]) == (None, None)
    window = {"since": since.isoformat(), "until": since.isoformat()}
    assert client.post(f"{path}/recover", json=window).json() == {"deliveries": 0}
    response = client.post(f"{path}/recover", json={"since": since.isoformat()})
    assert (response.status_code, response.json()) == (202, {"deliveries": 2})
    log = client.get(f"{path}/deliveries").json()["data"]
    by_event = {item["event_id"]: item["status"] for item in log}
    assert by_event == {received: "succeeded", pending: "pending", missed: "pending"}


def test_a_tenant_has_a_limit_of_webhooks(start_gateway):
    with start_gateway(gateway_max_webhooks=2) as gateway:
        key = gateway.new_key(f"shop-{uuid4()}", [Scope.WEBHOOKS])
        with gateway.client(key) as client:
            create(client)
            second = create(client)
            response = client.post("/webhooks", json={"url": URL})
            assert (response.status_code, slug(response)) == (409, "too-many-webhooks")
            client.delete(f"/webhooks/{UUID(second['id'])}")
            create(client)
