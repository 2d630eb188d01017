"""Multi-process counting, in processes of their own: the mode is chosen on import."""

import os
import subprocess
import sys

COUNT = """
import sys
from shared.core import metrics
requests = metrics.counter("test_requests", "Requests.", ["route"])
seconds = metrics.histogram("test_seconds", "Seconds.")
busy = metrics.live_sum("test_busy", "Busy.")
requests.labels("/jobs").inc(int(sys.argv[1]))
seconds.observe(0.2)
busy.inc()
print(metrics.render()[0].decode())
"""


def run(directory, amount):
    environment = dict(os.environ)
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if directory is not None:
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    done = subprocess.run(
        [sys.executable, "-c", COUNT, str(amount)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_processes_that_share_a_directory_are_counted_together(tmp_path):
    run(tmp_path, 2)
    lines = run(tmp_path, 3)
    assert 'detector_test_requests_total{route="/jobs"} 5.0' in lines
    assert "detector_test_seconds_count 2.0" in lines


def test_live_gauges_forget_processes_that_ended(tmp_path):
    run(tmp_path, 1)
    assert list(tmp_path.glob("gauge_livesum_*.db"))
    assert "detector_test_busy 1.0" in run(tmp_path, 1)
    assert len(list(tmp_path.glob("gauge_livesum_*.db"))) == 1


def test_one_process_alone_needs_no_directory(tmp_path):
    assert 'detector_test_requests_total{route="/jobs"} 4.0' in run(None, 4)
