from services.cli.doctor.result import Check, Level, Report, run_all
from services.cli.doctor.servers import server_checks
from tests.support.processes import free_port


def reports(settings: dict[str, str]) -> dict[str, Report]:
    return {report.name: report for report in run_all(server_checks(settings))}


def test_servers_that_are_not_set_are_warnings_that_name_the_variables() -> None:
    found = reports({})
    assert list(found) == ["database", "redis", "object store"]
    assert {report.finding.level for report in found.values()} == {Level.WARN}
    assert "DETECTOR_S3_ACCESS_KEY" in found["object store"].finding.detail


def test_servers_that_are_away_fail_without_their_secrets() -> None:
    port = free_port()
    found = reports(
        {
            "DETECTOR_DATABASE_URL": f"postgresql+psycopg://me:hush-hush@127.0.0.1:{port}/photos",
            "DETECTOR_REDIS_URL": f"redis://:hush-hush@127.0.0.1:{port}/0",
            "DETECTOR_S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "DETECTOR_S3_ACCESS_KEY": "hush-hush",
            "DETECTOR_S3_SECRET_KEY": "hush-hush",
        }
    )
    for report in found.values():
        assert report.finding.level is Level.FAIL
        assert str(port) in report.finding.detail
        assert report.finding.mend
        assert "hush" not in report.finding.detail + report.finding.mend


def test_addresses_of_the_wrong_form_fail_with_the_right_one() -> None:
    found = reports(
        {"DETECTOR_DATABASE_URL": "photos.example:5432", "DETECTOR_REDIS_URL": "not-a-url"}
    )
    assert "postgresql+psycopg://" in found["database"].finding.mend
    assert "redis://" in found["redis"].finding.mend


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> None:
        raise RuntimeError("surprise")

    (report,) = run_all([Check("odd", broken)])  # type: ignore[arg-type]
    assert report.finding.level is Level.FAIL
    assert "RuntimeError: surprise" in report.finding.detail
