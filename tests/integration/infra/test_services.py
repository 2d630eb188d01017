"""Services run beside the servers: with their environment, restarted, stopped first."""

import sys
from collections.abc import Callable
from pathlib import Path

import urllib3

from infra.local import ExternalServers, Stack
from infra.local.processes.http_check import answers
from infra.local.processes.program import SERVICE_PRIORITY, Program
from infra.local.service import Service

MakeStack = Callable[..., Stack]

# Says at its end whether the database still answers.
STAND_IN = """
import http.server, os, signal, sys
import psycopg

def stop(*_):
    psycopg.connect(os.environ["DETECTOR_DATABASE_URL"].replace("+psycopg", "")).close()
    print("stopped while the database answered", flush=True)
    os._exit(0)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["DETECTOR_GREETING"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

signal.signal(signal.SIGTERM, stop)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
GREETING = "50% of 'quoted' = value;no#comment, Ω"


def _stand_in(stack: Stack, directory: Path) -> tuple[Service, str]:
    script = directory / "stand_in.py"
    script.write_text(STAND_IN)
    port = stack.port("stand-in")
    url = f"http://127.0.0.1:{port}/"
    program = Program(
        "stand-in",
        [sys.executable, str(script), str(port)],
        directory,
        SERVICE_PRIORITY,
        environment={**stack.urls.environment(), "DETECTOR_GREETING": GREETING},
    )
    return Service(program, answers(url)), url


def test_a_service_is_told_restarted_and_stopped_before_the_servers(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    reported: list[str] = []
    stack = make_stack(report=reported.append)
    stack.start_servers()
    service, url = _stand_in(stack, tmp_path)
    stack.start_services([service])
    assert urllib3.request("GET", url).data.decode() == GREETING
    stack.program("stand-in").kill(restart=True)
    stack.program("stand-in").wait_ready()
    assert [line.split()[0] for line in reported] == ["seaweedfs", "valkey", "postgres", "stand-in"]
    log = stack.layout.log("stand-in")
    stack.stop()
    assert "stopped while the database answered" in log.read_text()


def test_external_servers_are_used_instead_of_embedded_ones(
    stack: Stack, make_stack: MakeStack
) -> None:
    outside = ExternalServers.from_environment(stack.urls.environment())
    other = make_stack(external=outside)
    assert other.start_servers() == stack.urls
    assert other.programs == []


def test_only_the_missing_server_is_embedded(stack: Stack, make_stack: MakeStack) -> None:
    other = make_stack(external=ExternalServers(redis_url=stack.urls.redis_url))
    urls = other.start_servers()
    assert urls.redis_url == stack.urls.redis_url
    assert sorted(program.name for program in other.programs) == ["postgres", "seaweedfs"]
