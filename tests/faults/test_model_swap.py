"""A champion is promoted and rolled back while photos flow: nothing is lost or mixed up."""

import json
import os
import subprocess
import sys
import threading
import urllib.request

import pytest
from sqlalchemy import text

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import load_package
from shared.ml.postprocess import calibrated_probability
from tests.support.checker import check_all_succeeded
from tests.support.packages import broken_variant, variant
from tests.support.photos import jpeg
from tests.support.processes import free_port, wait_until

PATIENCE = 180.0  # seconds; only a failure takes as long


class Traffic:
    """Sends jobs one after the other until it is stopped; `accepted` are the 202s."""

    def __init__(self, api):
        self._api = api
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.accepted = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._thread.join()

    def _run(self):
        number = 0
        while not self._stopping.is_set():
            photos = [(f"{n}.jpg", jpeg(n, 320, 240)) for n in range(number, number + 4)]
            number += 4
            self.accepted.append(self._api.accepted(photos))
            # So much as the worker can judge: the queue must not hide the moment of the swap.
            self._api.job(self.accepted[-1]["id"], wait=2)


def detector(environment, *arguments):
    """Run `detector models …` as an operator does."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "models", *arguments, "--json"],
        env={**os.environ, **environment},
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def versions_of(session):
    """Return {model version: verdicts}."""
    rows = session.execute(text("SELECT model_version, count(*) FROM verdicts GROUP BY 1")).all()
    return {row[0]: row[1] for row in rows}


# MLflow is imported in four processes, which takes long on a busy machine.
@pytest.mark.timeout(900)
def test_promote_and_roll_back_under_load_loses_nothing(make_system, sessions, registry, tmp_path):
    first, second = variant(tmp_path / "a", "a"), variant(tmp_path / "b", "b", 0.4)
    registry.set_alias("champion", registry.register(first).number)
    number = registry.register(second).number
    refused = registry.register(broken_variant(tmp_path / "broken", "broken")).number
    registry_settings = {
        "DETECTOR_MLFLOW_TRACKING_URI": registry.uri,
        "DETECTOR_MODEL_CACHE_DIR": str(tmp_path / "cache"),
    }
    port = free_port()
    system = make_system(
        {
            **registry_settings,
            "DETECTOR_WORKER_MODEL_ALIAS": "champion",
            "DETECTOR_WORKER_MODEL_POLL_S": "0.2",
            "DETECTOR_WORKER_METRICS_PORT": str(port),
        }
    )
    system.gateway()
    system.maintenance()
    worker = system.worker(wait=False)
    worker.wait_for_line("worker.ready", PATIENCE)

    def served():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        return [line for line in lines if line.startswith("detector_worker_model_info{")]

    def judged_by(version, at_least):
        with sessions() as session:
            return versions_of(session).get(version, 0) >= at_least

    with Traffic(system.api) as traffic:
        wait_until(lambda: judged_by("a", 8), PATIENCE, "the first champion judges")
        detector(registry_settings, "promote", str(number))
        wait_until(lambda: judged_by("b", 8), PATIENCE, "the second champion judges")
        assert len(served()) == 1
        assert 'version="b"' in served()[0]
        # A package that no engine can load changes nothing.
        registry.set_alias("champion", refused)
        worker.wait_for_line("model.refused", PATIENCE)
        registry.set_alias("champion", number)
        since = len(worker.output())
        assert detector(registry_settings, "rollback")["version"] == number - 1
        worker.wait_for_line("model.swapped", PATIENCE, since)
        with sessions() as session:
            before = versions_of(session)["a"]
        wait_until(lambda: judged_by("a", before + 8), PATIENCE, "the first champion judges again")

    packages = {"a": first, "b": second}
    with sessions() as session:
        check_all_succeeded(system.api, session, traffic.accepted)
        rows = session.execute(text("SELECT model_version, logit, probability FROM verdicts")).all()
    assert len(rows) == 4 * len(traffic.accepted)
    assert {row.model_version for row in rows} == set(packages)
    for row in rows:
        # The name in the verdict is that of the package whose calibration made its probability.
        calibration = load_package(packages[row.model_version]).manifest.calibration
        expected = calibrated_probability(row.logit, calibration)
        assert row.probability == pytest.approx(expected, abs=1e-6)
    assert worker.is_running()
