"""The service as a process: killed in the midst, ended, doubled."""

import itertools
import re
import urllib.request
from collections import Counter

import psycopg
import pytest
from sqlalchemy import select, text

from services.drift.study.traffic import Shift, moment
from shared.contracts.events import EventType
from shared.db import models
from tests.support.processes import ServiceProcess, wait_until


@pytest.fixture
def make_service(servers, tmp_path):
    made = []

    def make(hour):
        """A drift service whose clock stands at `hour` of the made-up traffic."""
        with psycopg.connect(servers.database_url.replace("+psycopg", "")) as connection:
            now = connection.execute("SELECT clock_timestamp()").fetchone()[0]
        service = ServiceProcess(
            "services.drift",
            {
                **servers.environment(),
                "DETECTOR_DRIFT_METRICS_PORT": "0",
                "DETECTOR_DRIFT_POLL_SECONDS": "0.2",
                "DETECTOR_DRIFT_WINDOW_PHOTOS": "300",
                "DETECTOR_DRIFT_MIN_PHOTOS": "100",
                "DETECTOR_DRIFT_SETTLE_SECONDS": str((now - moment(hour)).total_seconds()),
                # The made-up traffic is months old.
                "DETECTOR_DRIFT_ACTIVE_SECONDS": "1e9",
                "DETECTOR_DRIFT_QUIET_RETENTION_SECONDS": "1e9",
                "DETECTOR_DRIFT_RETENTION_SECONDS": "1e9",
                "OPENBLAS_NUM_THREADS": "1",
            },
            tmp_path / f"drift.{len(made)}.log",
        )
        made.append(service)
        service.start()
        return service

    yield make
    for service in made:
        if service.is_running():
            service.kill()


def written(sessions):
    """Return (windows in order, reports by run and scope, events by tenant)."""
    with sessions() as session:
        windows = session.execute(
            select(models.DriftRun.window_start, models.DriftRun.window_end).order_by(
                models.DriftRun.window_end
            )
        ).all()
        reports = session.execute(select(models.DriftReport.run_id, models.DriftReport.tenant_id))
        events = session.execute(
            select(models.WebhookEvent.tenant_id).where(
                models.WebhookEvent.type == EventType.DRIFT_DETECTED
            )
        ).scalars()
        return windows, Counter(map(tuple, reports)), Counter(events)


def metrics_of(service):
    found = re.search(r'"metrics_port": (\d+)', service.output())
    with urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/metrics", timeout=5) as answer:
        return answer.read().decode()


def test_killed_in_the_midst_it_goes_on_without_a_gap_and_tells_nothing_twice(
    sessions, store, make_service, marketplace
):
    store(0, 26)
    store(26, 22, Shift(new_share=0.5))
    killed = 0
    # Each time after another window: in its reading, its analysis, or its writing.
    for windows in (1, 2, 4):
        service = make_service(48)
        service.wait_for_line("drift.ready")
        wait_until(lambda n=windows: len(written(sessions)[0]) >= n, 90, f"{windows} windows")
        service.kill()
        killed += 1
    service = make_service(48)
    service.wait_for_line("drift.ready")
    wait_until(
        lambda: "detector_drift_last_success_timestamp_seconds 1." in metrics_of(service),
        90,
        "a round has ended",
    )
    windows, reports, events = written(sessions)
    assert killed == 3
    assert len(windows) >= 6
    assert all(before[1] == after[0] for before, after in itertools.pairwise(windows))
    assert set(reports.values()) == {1}
    assert events
    assert set(events.values()) == {1}
    version = marketplace.scores.model_version
    severity = f'detector_drift_severity{{model_version="{version}",scope="all"}}'
    assert f"{severity} 2.0" in metrics_of(service)
    assert service.stop() == 0
    assert "drift.stopped" in service.output()


def test_a_second_process_waits_and_takes_over(sessions, store, make_service):
    store(0, 30)
    first = make_service(30)
    first.wait_for_line("drift.leading")
    second = make_service(30)
    second.wait_for_line("drift.ready")
    wait_until(lambda: written(sessions)[0], 90, "a window is checked")
    assert "detector_drift_leader 1.0" in metrics_of(first)
    assert "detector_drift_leader 0.0" in metrics_of(second)
    first.kill()
    second.wait_for_line("drift.leading")
    assert "drift.checked" not in second.output()
    assert second.stop() == 0


def test_a_database_that_goes_away_is_waited_for(sessions, store, make_service, servers):
    store(0, 26)
    service = make_service(25)
    service.wait_for_line("drift.leading")
    with sessions() as session:
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'detector-drift'"
            )
        )
    wait_until(lambda: service.output().count("drift.leading") == 2, 60, "it leads again")
    # Whether a round failed in between depends on what it was at.
    assert "detector_drift_leader 1.0" in metrics_of(service)
    assert service.stop() == 0
