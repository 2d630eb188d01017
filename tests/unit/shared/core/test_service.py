"""A service as a process of its own: signals reach whole processes only."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.core.settings import REPOSITORY_ROOT

PROGRAM = """
import sys
import threading
from contextlib import contextmanager
from shared.core.service import run_service
from shared.core.settings import BaseAppSettings

@contextmanager
def running():
    stopping = threading.Event()
    thread = threading.Thread(target=stopping.wait)
    thread.start()
    print("entered", flush=True)
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        print("left", flush=True)

sys.exit(run_service("probe", BaseAppSettings(), running(), "127.0.0.1", int(sys.argv[1])))
"""
SETTINGS = {
    "DETECTOR_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none",
    "DETECTOR_REDIS_URL": "redis://127.0.0.1:1/0",
    "DETECTOR_S3_ENDPOINT": "http://127.0.0.1:1",
    "DETECTOR_S3_ACCESS_KEY": "key",
    "DETECTOR_S3_SECRET_KEY": "secret",
}


@contextmanager
def service(port: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(port)],
        env={**os.environ, **SETTINGS},
        cwd=REPOSITORY_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_works_until_it_is_told_to_stop(number):
    with service(0) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "entered\n"
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["service"]) == ("probe.ready", "probe")
        assert ready["pid"] == process.pid
        url = f"http://127.0.0.1:{ready['metrics_port']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            assert b"process_cpu_seconds_total" in answer.read()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        left, stopped = output.splitlines()
        assert (left, json.loads(stopped)["event"]) == ("left", "probe.stopped")
        assert process.returncode == 0


def test_its_threads_end_when_its_port_is_taken():
    """A thread that was left behind would keep the process alive, without /metrics."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        service(taken.getsockname()[1]) as process,
    ):
        output, errors = process.communicate(timeout=30)
    assert output.splitlines() == ["entered", "left"]
    assert "Address already in use" in errors
    assert process.returncode == 1
