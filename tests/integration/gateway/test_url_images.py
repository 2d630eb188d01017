"""Photos by URL: fetched and stored before the 202, each failure its own."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.integration.gateway.helpers import count, slug
from tests.support.photos import jpeg
from tests.support.processes import free_port


class _Photos(BaseHTTPRequestHandler):
    """`/N.jpg` is the photo of seed N; other paths misbehave as they are called."""

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        name = self.path.strip("/").partition("?")[0]
        if name == "slow.jpg":
            time.sleep(8)
        if name == "moved.jpg":
            self.send_response(302)
            self.send_header("Location", "/1.jpg")
            self.end_headers()
            return
        if name == "inside.jpg":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/secret")
            self.end_headers()
            return
        if name == "gone.jpg":
            self.send_error(404)
            return
        self.answer(_body(name))

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client gave up
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _body(name: str) -> bytes:
    match name:
        case "large.jpg":
            return jpeg(1) + b"\0" * 200_000
        case "text.jpg":
            return b"no photo"
        case _:
            return jpeg(int(name.removesuffix(".jpg") or 0) if name != "slow.jpg" else 0)


@pytest.fixture(scope="module")
def photos() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Photos)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def shop(own_servers, photos):
    """A gateway that may fetch from the photo server, and a client of it."""
    from tests.integration.gateway.conftest import run_gateway

    host = f"127.0.0.1:{photos.server_port}"
    settings = {"fetch_allowed_hosts": host, "fetch_seconds": 5.0, "s3_timeout_seconds": 10.0}
    with run_gateway(own_servers, **settings) as gateway, gateway.client() as client:
        yield gateway, client, f"http://{host}"


def post(client, *urls, headers=None, **members):
    body = {"images": [{"url": url} for url in urls], **members}
    return client.post("/jobs", json=body, headers=headers)


def test_202_means_that_the_photos_are_stored_here(shop):
    gateway, client, base = shop
    response = post(
        client, f"{base}/1.jpg?size=big", f"{base}/moved.jpg", listing_id=" L ",
        metadata={"a": [1]}, webhook_url="https://shop.example/hook",
    )  # fmt: skip
    body = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/jobs/{body['id']}"
    assert (body["listing_id"], body["metadata"]) == ("L", {"a": [1]})
    assert [image["filename"] for image in body["images"]] == ["1.jpg", "moved.jpg"]
    assert [image["source_url"] for image in body["images"]] == [
        f"{base}/1.jpg?size=big",
        f"{base}/moved.jpg",
    ]
    with gateway.sessions() as session:
        rows = session.execute(
            text("SELECT object_key, size, sha256 FROM images WHERE job_id = :id"),
            {"id": UUID(body["id"])},
        ).all()
        hook = session.execute(
            text("SELECT webhook_url FROM jobs WHERE id = :id"), {"id": UUID(body["id"])}
        ).scalar_one()
    assert hook == "https://shop.example/hook"
    store = gateway.servers.store()
    assert [store.get(*row) for row in rows] == [jpeg(1)] * 2


def test_each_photo_fails_with_its_own_code_and_takes_no_other_with_it(shop):
    _, client, base = shop
    closed = f"http://127.0.0.1:{free_port()}/a.jpg"
    response = post(
        client, f"{base}/2.jpg", f"{base}/gone.jpg", f"{base}/slow.jpg", f"{base}/large.jpg",
        f"{base}/text.jpg", f"{base}/inside.jpg", closed, "ftp://a.test/b.jpg", "not a url",
        "http://[", "http://169.254.169.254/latest/", "http://2130706433/a.jpg",
    )  # fmt: skip
    assert response.status_code == 202
    images = response.json()["images"]
    assert images[0]["status"] == "queued"
    assert {image["status"] for image in images[1:]} == {"failed"}
    assert [image["error"]["code"] for image in images[1:]] == [
        "fetch_status", "fetch_timeout", "fetch_too_large", "unsupported_type", "blocked_address",
        "blocked_address", "invalid_url", "invalid_url", "invalid_url", "blocked_address",
        "blocked_address",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "status", "problem"),
    [
        ("http://127.0.0.1/a.jpg", 422, "blocked-address"),
        ("gopher://a.test/", 422, "invalid-url"),
        ("{base}/gone.jpg", 422, "fetch-status"),
        ("{base}/large.jpg", 413, "fetch-too-large"),
        ("{base}/text.jpg", 415, "unsupported-type"),
    ],
)
def test_when_no_photo_can_be_had_there_is_no_job(shop, url, status, problem):
    gateway, client, base = shop
    before = count(gateway.sessions, "jobs")
    response = post(client, url.format(base=base))
    assert (response.status_code, slug(response)) == (status, problem)
    assert response.json()["errors"][0]["index"] == 0
    assert count(gateway.sessions, "jobs") == before


def test_without_the_object_store_nothing_is_accepted(shop, start_gateway):
    gateway, _, base = shop
    before = count(gateway.sessions, "jobs")
    away = f"http://127.0.0.1:{free_port()}"
    host = base.removeprefix("http://")
    with start_gateway(s3_endpoint=away, fetch_allowed_hosts=host) as blind, blind.client() as c:
        response = post(c, f"{base}/3.jpg")
    assert (response.status_code, slug(response)) == (503, "storage-unavailable")
    assert count(gateway.sessions, "jobs") == before


def test_a_repeated_request_fetches_nothing(shop, photos):
    _, client, base = shop
    headers = {"Idempotency-Key": "by url"}
    first = post(client, f"{base}/4.jpg", headers=headers)
    fetched = photos.seen.count("/4.jpg")
    again = post(client, f"{base}/4.jpg", headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert photos.seen.count("/4.jpg") == fetched == 1
    other = post(client, f"{base}/5.jpg", headers=headers)
    assert (other.status_code, slug(other)) == (409, "idempotency-key-reused")


URL = {"url": "https://shop.example/a.jpg"}


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        (b"{", 400, "malformed-request"),
        (b"[]", 400, "malformed-request"),
        (b"\xff", 400, "malformed-request"),
        (b'{"images": [{"url": "\\u0000"}]}', 400, "malformed-request"),
        (b'{"metadata": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "malformed-request"),
        (b'{"images": "' + b"a" * 600_000 + b'"}', 413, "too-large"),
        ({}, 422, "invalid-request"),
        ({"images": []}, 422, "no-images"),
        ({"images": [URL] * 65}, 413, "too-many-images"),
        ({"images": ["https://shop.example/a.jpg"]}, 422, "invalid-request"),
        ({"images": [{"url": ""}]}, 422, "invalid-request"),
        ({"images": [{"url": "https://a.test/" + "a" * 2048}]}, 422, "invalid-request"),
        ({"images": [{**URL, "size": 1}]}, 422, "invalid-request"),
        ({"images": [URL], "colour": "red"}, 422, "invalid-request"),
        ({"images": [URL], "listing_id": 7}, 422, "invalid-request"),
        ({"images": [URL], "metadata": []}, 422, "invalid-request"),
        ({"images": [URL], "metadata": {"a": "x" * 20_000}}, 422, "invalid-request"),
        ({"images": [URL], "webhook_url": "ftp://a.test/"}, 422, "invalid-request"),
    ],
)  # fmt: skip
def test_wrong_bodies(shop, body, status, problem):
    _, client, _ = shop
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = client.post(
        "/jobs", content=content, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert (response.status_code, slug(response)) == (status, problem)
