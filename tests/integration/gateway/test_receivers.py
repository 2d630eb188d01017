"""A receiver inside the network is refused when it is named, not only when it is called."""

from uuid import uuid4

import pytest

from shared.contracts.scopes import Scope
from tests.integration.gateway.helpers import count, image_files, slug
from tests.support.photos import jpeg

PHOTO = image_files(("a.jpg", jpeg(0)))
MANIFEST = [("file", ("shop.csv", b"url\nhttps://shop.example/a.jpg\n", "text/csv"))]
TABLES = ("jobs", "catalogs", "webhook_endpoints")

BLOCKED = [
    "http://127.0.0.1/hook",
    "http://10.1.2.3/hook",
    "https://192.168.0.1/hook",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/hook",
    "http://[::1]/hook",
    "http://[fd00::1]/hook",
    "http://[::ffff:127.0.0.1]/hook",
    "http://[64:ff9b::a9fe:a9fe]/hook",
    "http://2130706433/hook",
    "http://0x7f000001/hook",
    "http://127.1/hook",
    "http://localhost/hook",
    "https://shop.example:6379/hook",
    "https://1.1.1.1:22/hook",
]
INVALID = [
    "http://0177.0.0.1/hook",
    "ftp://shop.example/hook",
    "https://user:secret@shop.example/hook",
    "file:///etc/passwd",
]


def submissions(client, url: str):
    """Yield the answer to each way of naming a receiver."""
    yield client.post("/jobs", files=PHOTO, data={"webhook_url": url})
    photo = {"url": "https://shop.example/a.jpg"}
    yield client.post("/jobs", json={"images": [photo], "webhook_url": url})
    yield client.post("/catalogs", files=MANIFEST, data={"webhook_url": url})
    yield client.post("/catalogs", json={"s3_prefix": "drop/", "webhook_url": url})
    yield client.post("/webhooks", json={"url": url})


@pytest.fixture
def client(gateway):
    with gateway.client(gateway.new_key(f"shop {uuid4()}", [Scope.ADMIN])) as client:
        yield client


@pytest.mark.parametrize(
    ("url", "code"),
    [(url, "blocked_address") for url in BLOCKED] + [(url, "invalid_url") for url in INVALID],
)
def test_every_way_to_name_a_receiver_refuses_it(gateway, client, url, code):
    before = {table: count(gateway.sessions, table) for table in TABLES}
    for response in submissions(client, url):
        assert (response.status_code, slug(response)) == (422, "invalid-request"), response.text
        (error,) = response.json()["errors"]
        assert error["field"] in {"webhook_url", "url"}
        assert (error["code"], bool(error["detail"])) == (code, True)
    assert {table: count(gateway.sessions, table) for table in TABLES} == before


def test_a_registered_webhook_is_not_moved_inside(client):
    webhook = client.post("/webhooks", json={"url": "https://shop.example/hook"}).json()
    path = f"/webhooks/{webhook['id']}"
    response = client.patch(path, json={"url": "http://10.0.0.1/hook"})
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert client.get(path).json()["url"] == "https://shop.example/hook"


def test_what_the_allow_list_names_is_taken(start_gateway):
    allowed = "10.1.2.3:8443, 127.0.0.0/8:12345, hooks.internal:9000"
    with start_gateway(webhook_allowed_hosts=allowed) as gateway:
        key = gateway.new_key(f"shop {uuid4()}", [Scope.ADMIN])
        with gateway.client(key) as client:
            for url in (
                "https://10.1.2.3:8443/hook",
                "http://127.0.0.1:12345/hook",
                "http://localhost:12345/hook",
                "http://hooks.internal:9000/hook",
            ):
                job, by_url, *others = submissions(client, url)
                assert [job.status_code, *(each.status_code for each in others)] == [
                    202, 202, 202, 201,
                ]  # fmt: skip
                # The photo is refused there, not the receiver: the name does not exist.
                assert slug(by_url) == "fetch-failed", by_url.text
            for url in ("https://10.1.2.3/hook", "http://hooks.internal:9001/hook"):
                for response in submissions(client, url):
                    assert slug(response) == "invalid-request"
