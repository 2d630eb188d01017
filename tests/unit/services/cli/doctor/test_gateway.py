from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from services.cli.doctor.gateway import gateway_checks
from services.cli.doctor.result import Level, Report, run_all
from tests.support.fake_gateway import FakeGateway, problem
from tests.support.processes import free_port


def reports() -> dict[str, Report]:
    return {report.name: report for report in run_all(gateway_checks())}


def test_a_healthy_gateway_passes_every_check(gateway: FakeGateway) -> None:
    found = reports()
    assert list(found) == ["gateway", "gateway ready", "API key", "clock"]
    assert {report.finding.level for report in found.values()} == {Level.OK}
    assert all(report.finding.mend == "" for report in found.values())


def test_an_unready_gateway_names_what_it_misses(gateway: FakeGateway) -> None:
    checks = {
        "database": {"status": "failed", "detail": "connection refused"},
        "storage": {"status": "ok"},
    }
    gateway.ready = problem(503, "not-ready", "away", checks=checks)
    finding = reports()["gateway ready"].finding
    assert finding.level is Level.FAIL
    assert "database: connection refused" in finding.detail
    assert "storage" not in finding.detail


def test_a_degraded_gateway_is_a_warning(gateway: FakeGateway) -> None:
    checks = {"redis": {"status": "failed", "detail": "timed out"}}
    gateway.ready = (200, {}, {"status": "degraded", "version": "1", "checks": checks})
    finding = reports()["gateway ready"].finding
    assert (finding.level, "redis: timed out" in finding.detail) == (Level.WARN, True)


def test_a_refused_key_says_how_to_get_one(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_wrong-and-secret")
    finding = reports()["API key"].finding
    assert finding.level is Level.FAIL
    assert "detector keys create" in finding.mend
    assert "wrong-and-secret" not in finding.detail + finding.mend


def test_a_gateway_that_is_away_fails_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETECTOR_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("DETECTOR_API_KEY", "apd_x")
    finding = reports()["gateway"].finding
    assert (finding.level, "make up" in finding.mend) == (Level.FAIL, True)


def test_without_a_configuration_that_is_the_only_finding() -> None:
    found = reports()
    assert list(found) == ["gateway"]
    assert found["gateway"].finding.level is Level.FAIL
    assert "make up" in found["gateway"].finding.mend


@pytest.mark.parametrize(
    ("seconds", "level"), [(0, Level.OK), (60, Level.WARN), (-3600, Level.FAIL)]
)
def test_clocks_that_differ_are_found(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, seconds: int, level: Level
) -> None:
    def shifted(self: BaseHTTPRequestHandler, timestamp: object = None) -> str:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", shifted)
    assert reports()["clock"].finding.level is level
