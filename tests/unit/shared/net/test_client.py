"""The guarded client against real listeners: limits of time and size, redirects, TLS, answers."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.net import FetchError, FetchErrorCode, GuardedClient, GuardSettings
from tests.support.listeners import (
    Listener,
    answering,
    http_answer,
    in_turn,
    listening,
    make_certificate,
    read_request,
)

_INSIDE = GuardSettings(allowed_hosts=("127.0.0.0/8:*",))
_CLOSE = {"Connection": "close"}

Behave = Callable[[Listener, socket.socket], None]


def _fetch_error(behaviour: Behave, max_bytes: int = 1000, seconds: float = 5.0) -> FetchError:
    with listening(behaviour) as server, GuardedClient(_INSIDE) as client:
        with pytest.raises(FetchError) as caught:
            client.get_bytes(f"{server.url}/photo.jpg", max_bytes, seconds)
        return caught.value


def test_fetches_body_type_and_address_after_redirects() -> None:
    page = in_turn(
        http_answer(301, Location="/second?x=1"),
        http_answer(307, Location="third"),
        http_answer(200, b"photo", Content_Type="image/jpeg"),
    )
    with listening(page) as server, GuardedClient(_INSIDE) as client:
        fetched = client.get_bytes(f"{server.url}/a/first", 5, 5)
        assert (fetched.body, fetched.content_type) == (b"photo", "image/jpeg")
        assert fetched.final_url == f"{server.url}/third"
        first = server.requests[0].decode()
        assert first.startswith("GET /a/first HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{server.port}\r\n" in first
        assert "Accept-Encoding: identity\r\n" in first


def test_body_of_exactly_the_limit_is_taken_and_one_more_byte_is_not() -> None:
    page = answering(http_answer(200, b"x" * 100), http_answer(200, b"x" * 100))
    with listening(page) as server, GuardedClient(_INSIDE) as client:
        assert len(client.get_bytes(server.url, 100, 5).body) == 100
        with pytest.raises(FetchError) as caught:
            client.get_bytes(server.url, 99, 5)
    assert caught.value.code is FetchErrorCode.FETCH_TOO_LARGE


def test_endless_chunked_body_ends_at_the_size_limit() -> None:
    sent = 0

    def endless(listener: Listener, connection: socket.socket) -> None:
        nonlocal sent
        read_request(listener, connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sent += connection.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    assert _fetch_error(endless, 10_000).code is FetchErrorCode.FETCH_TOO_LARGE
    assert sent < 16 * 1024 * 1024  # what the kernel's buffers take, not what we read


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_unasked_compression_is_undone_and_its_bomb_refused(encoding: str) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    page = answering(
        http_answer(200, compress(b"photo"), Content_Encoding=encoding),
        http_answer(200, compress(b"\0" * 5_000_000), Content_Encoding=encoding),
    )
    with listening(page) as server, GuardedClient(_INSIDE) as client:
        assert client.get_bytes(server.url, 100_000, 5).body == b"photo"
        with pytest.raises(FetchError) as caught:
            client.get_bytes(server.url, 100_000, 5)
    assert caught.value.code is FetchErrorCode.FETCH_TOO_LARGE


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(200, b"not gzip", Content_Encoding="gzip"),
        http_answer(200, gzip.compress(b"photo" * 100)[:-9], Content_Encoding="gzip"),
        http_answer(200, b"photo", Content_Encoding="br"),
        http_answer(200, b"photo", Content_Length="6", **_CLOSE),
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000,
        b"",
    ],
    ids=["no gzip", "cut gzip", "brotli", "cut body", "not http", "endless header", "nothing"],
)
def test_broken_answer_fails(answer: bytes) -> None:
    assert _fetch_error(answering(answer)).code is FetchErrorCode.FETCH_FAILED


def test_status_that_is_no_success_is_named() -> None:
    error = _fetch_error(answering(http_answer(404, b"gone")))
    assert (error.code, error.status) == (FetchErrorCode.FETCH_STATUS, 404)


def test_redirects_end() -> None:
    hops = answering(*[http_answer(302, Location="/again")] * 10)
    with listening(hops) as server, GuardedClient(_INSIDE) as client:
        with pytest.raises(FetchError) as caught:
            client.get_bytes(server.url, 1000, 5)
        assert caught.value.code is FetchErrorCode.TOO_MANY_REDIRECTS
        assert len(server.requests) == _INSIDE.max_redirects + 1


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "http://["])
def test_redirect_to_an_improper_url_is_invalid(location: str) -> None:
    error = _fetch_error(answering(http_answer(302, Location=location)))
    assert error.code is FetchErrorCode.INVALID_URL


def test_redirects_can_be_switched_off() -> None:
    settings = GuardSettings(allowed_hosts=_INSIDE.allowed_hosts, max_redirects=0)
    hop = answering(http_answer(302, Location="/x"))
    with (
        listening(hop) as server,
        GuardedClient(settings) as client,
        pytest.raises(FetchError) as caught,
    ):
        client.get_bytes(server.url, 1000, 5)
    assert (caught.value.code, caught.value.status) == (FetchErrorCode.FETCH_STATUS, 302)


def _drip(start: bytes) -> Behave:
    """Send `start`, then a byte every 50 ms: no single read is slow."""

    def behave(listener: Listener, connection: socket.socket) -> None:
        read_request(listener, connection)
        connection.sendall(start)
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    return behave


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
    ids=["status line", "header", "body"],
)
def test_dripping_server_ends_with_the_total_time(start: bytes) -> None:
    began = time.monotonic()
    code = _fetch_error(_drip(start), max_bytes=10_000, seconds=0.4).code
    assert time.monotonic() - began < 10
    if start or code is not FetchErrorCode.FETCH_FAILED:  # a drip of x is no status line
        assert code is FetchErrorCode.FETCH_TIMEOUT


def test_silent_server_ends_with_the_total_time() -> None:
    def silent(listener: Listener, connection: socket.socket) -> None:
        read_request(listener, connection)
        connection.recv(1)

    assert _fetch_error(silent, seconds=0.2).code is FetchErrorCode.FETCH_TIMEOUT


def test_redirect_chain_shares_one_time_limit() -> None:
    def slow_hop(listener: Listener, connection: socket.socket) -> None:
        while read_request(listener, connection):
            time.sleep(0.2)
            connection.sendall(http_answer(302, Location="/again"))

    assert _fetch_error(slow_hop, seconds=0.5).code is FetchErrorCode.FETCH_TIMEOUT


def test_receiver_that_never_reads_a_large_post_ends_with_the_total_time() -> None:
    done = threading.Event()

    def deaf(_listener: Listener, connection: socket.socket) -> None:
        # A byte now and then keeps each single send alive.
        while not done.wait(0.05):
            connection.recv(1)

    with listening(deaf) as server, GuardedClient(_INSIDE) as client:
        began = time.monotonic()
        with pytest.raises(FetchError) as caught:
            client.post(server.url, b"x" * 30_000_000, {}, 0.5)
        done.set()
    assert caught.value.code is FetchErrorCode.FETCH_TIMEOUT
    assert time.monotonic() - began < 10


def test_closed_port_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with GuardedClient(_INSIDE) as client, pytest.raises(FetchError) as caught:
        client.get_bytes(f"http://127.0.0.1:{port}/", 1000, 5)
    assert caught.value.code is FetchErrorCode.FETCH_FAILED


def test_next_address_is_tried_when_one_is_closed() -> None:
    with listening(answering(http_answer(200, b"photo")), "127.0.0.3") as server:
        names = ["127.0.0.2", "127.0.0.3"]
        with GuardedClient(_INSIDE, lambda _host, _port: names) as client:
            url = f"http://shop.example:{server.port}/"
            assert client.get_bytes(url, 1000, 5).body == b"photo"
        assert f"Host: shop.example:{server.port}\r\n" in server.requests[0].decode()


def test_connection_that_its_server_closed_while_kept_is_replaced() -> None:
    with listening(answering(http_answer(200, b"photo"))) as server:
        with GuardedClient(_INSIDE) as client:
            for _ in range(5):
                assert client.get_bytes(server.url, 1000, 5).body == b"photo"
        assert server.connections == 5


def test_post_gives_status_headers_start_of_body_and_latency() -> None:
    def slow(listener: Listener, connection: socket.socket) -> None:
        read_request(listener, connection)
        time.sleep(0.1)
        connection.sendall(http_answer(503, b"y" * 100_000, Retry_After="7"))

    with listening(slow) as server, GuardedClient(_INSIDE) as client:
        headers = {"Content-Type": "application/json", "webhook-id": "msg_1"}
        reply = client.post(f"{server.url}/hook?a=b", b'{"a":1}', headers, 5)
        assert (reply.status, reply.headers["retry-after"]) == (503, "7")
        assert reply.body_start == b"y" * _INSIDE.reply_bytes
        assert 0.1 <= reply.latency_s < 5
        request = server.requests[0].decode()
        assert request.startswith("POST /hook?a=b HTTP/1.1\r\n")
        assert "webhook-id: msg_1\r\n" in request
        assert request.endswith('\r\n\r\n{"a":1}')


def test_post_counts_as_answered_when_only_the_body_stalls() -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    with listening(_drip(start)) as server, GuardedClient(_INSIDE) as client:
        reply = client.post(server.url, b"{}", {}, 0.4)
    assert reply.status == 200
    assert set(reply.body_start) == {ord("x")}


def test_tls_is_verified_against_the_name_of_the_url(tmp_path: Path) -> None:
    pem, context = make_certificate(tmp_path, "shop.example")
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    page = answering(http_answer(200, b"photo"))
    settings = GuardSettings(allowed_hosts=("127.0.0.0/8:*",), ca_file=pem)
    with listening(page, context=context) as server:
        with GuardedClient(settings, lambda _host, _port: ["127.0.0.1"]) as client:
            url = f"https://shop.example:{server.port}/"
            assert client.get_bytes(url, 1000, 5).body == b"photo"
            assert names == ["shop.example"]
            with pytest.raises(FetchError) as caught:
                client.get_bytes(f"https://other.example:{server.port}/", 1000, 5)
            assert caught.value.code is FetchErrorCode.FETCH_FAILED
        with (
            GuardedClient(_INSIDE, lambda _host, _port: ["127.0.0.1"]) as client,
            pytest.raises(FetchError),
        ):
            client.get_bytes(url, 1000, 5)
    assert len(server.requests) == 1


def test_many_threads_share_one_client() -> None:
    def page(listener: Listener, connection: socket.socket) -> None:
        while request := read_request(listener, connection):
            connection.sendall(http_answer(200, request.split()[1]))

    with (
        listening(page) as server,
        GuardedClient(_INSIDE) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        paths = [f"/{index}" for index in range(200)]
        bodies = threads.map(lambda path: client.get_bytes(server.url + path, 99, 10), paths)
        assert [fetched.body.decode() for fetched in bodies] == paths


@pytest.mark.parametrize("encoding", ["aws-chunked", "UTF-8", "aws-chunked,gzip", "none, identity"])
def test_a_content_encoding_that_compresses_nothing_changes_nothing(encoding: str) -> None:
    body = gzip.compress(b"photo") if "gzip" in encoding else b"photo"
    answer = http_answer(200, body, Content_Encoding=encoding)
    with listening(in_turn(answer)) as server, GuardedClient(_INSIDE) as client:
        assert client.get_bytes(server.url, 100, 5).body == b"photo"


def test_a_redirect_may_be_utf_8() -> None:
    moved = http_answer(302, Location="/m\u00fctze.jpg")  # sent as UTF-8
    page = in_turn(moved, http_answer(200, b"photo"))
    with listening(page) as server, GuardedClient(_INSIDE) as client:
        assert client.get_bytes(server.url, 100, 5).body == b"photo"
        assert server.requests[-1].startswith(b"GET /m%C3%BCtze.jpg ")
