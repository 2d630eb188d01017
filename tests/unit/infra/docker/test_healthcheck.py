"""The container health check, against a real HTTP server."""

import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from infra.docker.healthcheck import main


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("DETECTOR_GATEWAY_PORT", str(server.server_port))
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_is_healthy(port: int):
    assert main(["DETECTOR_GATEWAY_PORT", "/health/live"]) == 0


def test_a_refusal_is_unhealthy_and_says_why(port: int, capsys: pytest.CaptureFixture[str]):
    assert main(["DETECTOR_GATEWAY_PORT", "/health/ready"]) == 1
    assert f"http://127.0.0.1:{port}/health/ready: HTTP Error 503" in capsys.readouterr().err


def test_nobody_there_is_unhealthy(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as bound:  # bound, but it does not listen
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DETECTOR_GATEWAY_PORT", str(bound.getsockname()[1]))
        assert main(["DETECTOR_GATEWAY_PORT", "/health/live"]) == 1


def test_a_proxy_is_not_asked(port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert main(["DETECTOR_GATEWAY_PORT", "/health/live"]) == 0
