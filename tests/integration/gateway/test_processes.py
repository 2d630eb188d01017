"""`python -m services.gateway` with two processes: counters, logs, and how it ends."""

import json
import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from tests.integration.gateway.helpers import image_files, slug
from tests.support.photos import jpeg
from tests.support.processes import answers, wait_until

REQUESTS = 60
PATIENCE = 60  # seconds; only a failure takes as long


@pytest.fixture
def system(make_system, tmp_path):
    system = make_system(
        {
            "DETECTOR_GATEWAY_WORKERS": "2",
            "DETECTOR_GATEWAY_METRICS_DIR": str(tmp_path / "metrics"),
        }
    )
    stale = tmp_path / "metrics"
    stale.mkdir()
    (stale / "counter_1.db").write_bytes(b"of an earlier run")
    return system


def metric(url, line):
    """Return the value of the one sample whose name and labels are `line`."""
    for row in httpx.get(f"{url}/metrics").text.splitlines():
        if row.startswith(line + " "):
            return float(row.rsplit(" ", 1)[1])
    return 0.0


def workers(process):
    """Return the ids of the processes that began to serve."""
    return {int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", process.output())}


def test_two_processes_count_together_and_log_each_request_once(system):
    process = system.gateway()
    wait_until(lambda: len(workers(process)) == 2, PATIENCE, "both processes serve")
    for number in range(REQUESTS):
        # A connection each, so that the kernel spreads them over the processes.
        response = httpx.get(f"{system.url}/health/live", headers={"X-Request-ID": f"n-{number}"})
        assert response.status_code == 200
    system.api.client.post("/jobs", files=image_files(("a.jpg", jpeg(0)), ("b.txt", b"text")))
    live = 'method="GET",route="/health/live"'
    total = f'detector_http_requests_total{{{live},status="200"}}'
    seen = {metric(system.url, total) for _ in range(8)}
    assert seen == {float(REQUESTS)}, "every process shows the sum"
    count = metric(system.url, f"detector_http_request_duration_seconds_count{{{live}}}")
    assert count == REQUESTS
    assert metric(system.url, "detector_images_accepted_total") == 1
    assert metric(system.url, 'detector_images_refused_total{code="unsupported_type"}') == 1
    assert metric(system.url, "detector_job_listeners_connected") == 2

    lines = [json.loads(line) for line in process.output().splitlines()]
    finished = [line for line in lines if line["event"] == "request.finished"]
    ids = [line["request_id"] for line in finished if line["route"] == "/health/live"]
    assert sorted(ids) == sorted(f"n-{number}" for number in range(REQUESTS))
    (posted,) = [line for line in finished if line["route"] == "/jobs"]
    assert (posted["method"], posted["status"]) == ("POST", 202)
    assert (posted["images"], posted["refused"]) == (2, 1)
    assert posted["bytes_in"] > len(jpeg(0))
    assert posted["duration_ms"] > 0
    assert {"tenant_id", "job_id", "service", "timestamp"} <= set(posted)
    assert process.stop() == 0


def test_a_killed_process_is_replaced_and_what_it_counted_stays(system):
    process = system.gateway()
    wait_until(lambda: len(workers(process)) == 2, PATIENCE, "both processes serve")
    for _ in range(20):
        httpx.get(f"{system.url}/health/live")
    first = workers(process)
    # Killed before that, it would never have listened, and three would be one too many.
    wait_until(lambda: process.output().count("listener.connected") == 2, PATIENCE, "both listen")
    os.kill(min(first), signal.SIGKILL)
    wait_until(lambda: len(workers(process)) == 3, PATIENCE, "a new process serves")
    wait_until(lambda: process.output().count("listener.connected") == 3, PATIENCE, "it listens")
    total = 'detector_http_requests_total{method="GET",route="/health/live",status="200"}'
    assert metric(system.url, total) == 20
    assert metric(system.url, "detector_job_listeners_connected") == 2


def test_no_process_outlives_a_killed_parent(system):
    process = system.gateway()
    wait_until(lambda: len(workers(process)) == 2, PATIENCE, "both processes serve")
    os.kill(process.pid, signal.SIGKILL)

    def gone():
        return not any(Path(f"/proc/{pid}").exists() for pid in workers(process))

    wait_until(gone, PATIENCE, "the processes end")
    assert not answers(f"{system.url}/health/live")


def test_a_missing_setting_is_named_and_nothing_starts(make_system):
    system = make_system({"DETECTOR_S3_ENDPOINT": "not a url"})
    process = system.gateway(wait=False)
    wait_until(lambda: not process.is_running(), PATIENCE, "it ends")
    assert process.stop() == 2
    assert "DETECTOR_S3_ENDPOINT" in process.output()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_unexpected_error_tells_the_client_nothing_and_the_log_no_secret(
    make_system, sessions, log_format
):
    """A table that is gone is no fault that a route expects."""
    system = make_system({"DETECTOR_LOG_FORMAT": log_format})
    process = system.gateway()
    with sessions.begin() as session:
        session.execute(text("ALTER TABLE api_keys RENAME TO hidden"))
    response = system.api.client.get("/jobs/0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10")
    assert (response.status_code, slug(response)) == (500, "internal-error")
    assert "api_keys" not in response.text
    assert "Traceback" not in response.text
    output = process.output()
    assert output.count("request.crashed") == 1
    assert response.json()["request_id"] in output
    assert 'relation "api_keys" does not exist' in output.replace("\\", "")
    assert system.key not in output
