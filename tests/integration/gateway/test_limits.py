"""Bytes and time of requests are bounded before anything is parsed; one slow client blocks none."""

import contextlib
import select
import time

import pytest

from tests.integration.gateway.helpers import RawConnection, count, image_files, slug
from tests.support.photos import jpeg

HEAD = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.mark.parametrize(("path", "limit"), [("/jobs", 1_000_000), ("/predict", 265_536)])
def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_sent(gateway, path, limit):
    with RawConnection(gateway.port) as connection:
        connection.begin_post(path, gateway.key, f"Content-Length: {limit + 1}")
        # Had it waited for the body, it would be 408.
        status, headers, body = connection.answer()
        assert (status, body["type"]) == (413, "/problems/too-large")
        assert str(limit) in body["detail"]
        assert headers["connection"] == "close"
        assert connection.is_closed_within(20)


def test_a_file_of_just_the_limit_is_accepted(client):
    photo = jpeg(1) + b"\0" * (200_000 - len(jpeg(1)))
    assert client.post("/jobs", files=image_files(("a.jpg", photo))).status_code == 202
    response = client.post("/jobs", files=image_files(("a.jpg", photo + b"\0")))
    assert slug(response) == "too-large"


def test_a_chunked_body_over_the_limit_is_cut_off_as_it_comes(gateway):
    before = count(gateway.sessions, "jobs")
    with RawConnection(gateway.port) as connection:
        connection.begin_post("/jobs", gateway.key, "Transfer-Encoding: chunked")
        connection.send(chunk(HEAD))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 1_000_000:
                connection.send(chunk(b"\0" * 50_000))
                sent += 50_000
        status, headers, body = connection.answer()
        assert (status, body["type"]) == (413, "/problems/too-large")
        assert headers["connection"] == "close"
        assert connection.is_closed_within(20)
    assert count(gateway.sessions, "jobs") == before


def test_a_client_that_sends_far_too_much_still_reads_the_answer(client):
    def body():
        yield HEAD
        for _ in range(200):
            yield b"\0" * 65_536

    response = client.post(
        "/jobs", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert (response.status_code, slug(response)) == (413, "too-large")


def test_expect_100_continue_saves_the_upload(gateway):
    with RawConnection(gateway.port) as connection:
        connection.begin_post(
            "/jobs", gateway.key, "Content-Length: 5000000", "Expect: 100-continue"
        )
        assert connection.answer()[0] == 413


def test_without_a_key_the_body_is_not_waited_for(gateway):
    with RawConnection(gateway.port) as connection:
        connection.begin_post("/jobs", "apd_wrong", "Content-Length: 900000")
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (401, "close")


def test_an_upload_that_pauses_ends_with_408(gateway):
    with RawConnection(gateway.port) as connection:
        connection.begin_post("/jobs", gateway.key, "Content-Length: 900000")
        connection.send(HEAD)
        started = time.monotonic()
        status, headers, body = connection.answer()
        assert time.monotonic() - started > 0.9
        assert (status, body["type"]) == (408, "/problems/upload-timeout")
        assert headers["connection"] == "close"
        assert connection.is_closed_within(20)


def test_an_upload_that_trickles_ends_with_408_at_the_total_time(gateway):
    with RawConnection(gateway.port) as connection:
        connection.begin_post("/jobs", gateway.key, "Transfer-Encoding: chunked")
        connection.send(chunk(HEAD))
        started = time.monotonic()
        connection.socket.settimeout(0.3)
        while time.monotonic() - started < 30:
            connection.send(chunk(b"."))
            try:
                connection.socket.recv(1, 2)  # MSG_PEEK
                break
            except TimeoutError:
                continue
        assert time.monotonic() - started > 1.8
        connection.socket.settimeout(20)
        assert connection.answer()[0] == 408


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /health HTTP/1.1\r\nHost:", b"\r\n"],
    ids=["nothing", "half a header", "an empty line"],
)
def test_a_connection_without_a_whole_header_is_closed(gateway, sent):
    with RawConnection(gateway.port) as connection:
        if sent:
            connection.send(sent)
        started = time.monotonic()
        assert connection.is_closed_within(20)
        assert time.monotonic() - started > 1.5


def test_a_kept_connection_with_half_a_second_header_is_closed(gateway):
    with RawConnection(gateway.port) as connection:
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.answer()[0] == 200
        connection.send(b"\r\n")
        assert connection.is_closed_within(20)


def test_a_kept_connection_outlives_the_time_for_headers(gateway):
    """Reverse proxies keep theirs for a minute and send the next request without a look."""
    with RawConnection(gateway.port) as connection:
        for pause in (3.0, 0.1):  # a header has 2 s here
            connection.send(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.answer()[0] == 200
            assert not connection.is_closed_within(pause)


def test_what_is_not_http_is_answered_with_a_problem(gateway):
    with RawConnection(gateway.port) as connection:
        connection.send(b"\x16\x03\x01 this is TLS\r\n\r\n")
        status, headers, body = connection.answer()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert body["type"] == "/problems/malformed-request"


def test_200_hanging_uploads_block_nobody(start_gateway):
    patient = {"gateway_upload_idle_seconds": 60.0, "gateway_upload_total_seconds": 60.0}
    with start_gateway(**patient) as gateway, contextlib.ExitStack() as stack:
        hanging = []
        for _ in range(200):
            hanging.append(stack.enter_context(RawConnection(gateway.port)))
            hanging[-1].begin_post("/jobs", gateway.key, "Content-Length: 900000")
            hanging[-1].send(HEAD + b"\xff\xd8")
        with gateway.client() as client:
            assert client.get("/health/live").status_code == 200
            assert client.post("/jobs", files=image_files(("a.jpg", jpeg(0)))).status_code == 202
        answered, _, _ = select.select([each.socket for each in hanging], [], [], 0)
        assert not answered, "all of them still hang"
