"""`detector drift` against a gateway and a drift service, with made-up verdicts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from shared.contracts.drift import SIMULATION
from shared.db.engine import make_engine, make_session_factory
from shared.db.tenants.bootstrap import LOCAL_TENANT
from shared.db.tenants.keys import get_or_create_tenant
from tests.support.drift import MODEL, store_check
from tests.support.servers import drop, provide
from tests.support.system import System

# The setup starts a gateway and a drift service.
pytestmark = pytest.mark.timeout(300)

# Service and command take the same settings.
FAST = {"DETECTOR_DRIFT_POLL_SECONDS": "0.5", "DETECTOR_DRIFT_WINDOW_PHOTOS": "1000"}

WARNING = {
    "severity": "warning",
    "window_severity": "warning",
    "cause": {
        "kind": "input_shift",
        "model_relevant": False,
        "headline": "The mix of JPEG quality changed: 80% of the photos moved.",
        "evidence": ["80% of the photos moved between values of JPEG quality."],
    },
}


@pytest.fixture(scope="module")
def system(server_stack, tmp_path_factory) -> Iterator[System]:
    own = provide(server_stack)
    system = System(own, tmp_path_factory.mktemp("drift"), FAST)
    try:
        system.gateway()
        system.drift()
        yield system
    finally:
        system.close()
        drop(own)


@pytest.fixture(scope="module")
def database(system):
    engine = make_engine(system.servers.database_url, 2)
    yield make_session_factory(engine)
    engine.dispose()


@pytest.fixture(scope="module")
def stored(database) -> dict[str, list[str]]:
    """Three hours of the local tenant and of all together; the last has drifted."""
    with database.begin() as session:
        scopes = [get_or_create_tenant(session, LOCAL_TENANT), None]
        hours = [
            store_check(session, scopes, 0),
            store_check(session, scopes, 1),
            store_check(session, scopes, 2, **WARNING),
        ]
    return {
        "mine": [str(mine) for mine, _ in reversed(hours)],
        "all": [str(every) for _, every in reversed(hours)],
    }


@pytest.fixture
def drift(system, detector, monkeypatch, tmp_path):
    """`detector drift`, which knows the database as well."""
    for name, value in {**system.servers.environment(), **FAST}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DETECTOR_LOCAL_DIR", str(tmp_path))
    monkeypatch.delenv("DETECTOR_DATASET_DIR", raising=False)
    return lambda *arguments: detector("drift", *arguments)


def test_the_state_of_ones_own_photos_and_of_all(drift, stored):
    for options, key in (((), "mine"), (("--all-tenants",), "all")):
        overview = drift("status", "--json", *options).one
        state = next(each for each in overview["data"] if each["model_version"] == MODEL)
        assert (state["severity"], state["report_id"]) == ("warning", stored[key][0])
        shown = drift("status", *options)
        assert "The mix of JPEG quality changed" in shown.out
        assert "last check" in shown.err


def test_reports_are_listed_by_what_they_are(drift, stored):
    listed = lambda *options: [
        report["id"]
        for report in drift("reports", "--model-version", MODEL, "--json", *options).lines
    ]
    assert listed() == stored["mine"]
    assert listed("--limit", 2) == stored["mine"][:2]
    assert listed("--severity", "warning", "--severity", "critical") == stored["mine"][:1]
    assert listed("--since", "2999-01-01T00:00:00Z") == []
    assert listed("--all-tenants") == stored["all"]
    assert stored["mine"][2] in drift("reports").out
    assert drift("reports", "--since", "yesterday").code == 2


def test_a_report_is_shown_in_words_and_as_a_page(drift, stored, tmp_path):
    file = tmp_path / "report.html"
    newest = drift("show", "--html", file)
    assert stored["mine"][0] in newest.err
    assert "Find out what re-encodes" in newest.err
    assert "population stability index" in newest.out
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert drift("show", stored["mine"][2], "--json").one["severity"] == "none"
    every = drift("show", "--all-tenants", stored["all"][0], "--html", file)
    assert every.code == 0
    assert "all tenants together" in file.read_text()
    # Each view has its own reports.
    assert drift("show", stored["all"][0]).code == 2
    assert drift("show", "--all-tenants", stored["mine"][0]).code == 2


@pytest.mark.parametrize(
    ("shift", "kinds"),
    [
        ("generator", {"new_cluster"}),
        ("jpeg-quality", {"input_shift"}),
        ("none", {"none"}),
    ],
)
def test_a_simulated_shift_is_found_and_named(drift, stored, database, tmp_path, shift, kinds):
    done = drift("simulate", "--shift", shift, "--windows", "2", "--timeout", "120")
    assert done.code == 0, done.err
    (state,) = [
        each
        for each in drift("status", "--all-tenants", "--json").one["data"]
        if each["model_version"].startswith(f"{SIMULATION}-{shift}")
    ]
    assert state["cause"]["kind"] in kinds
    assert state["severity"] == "none" if shift == "none" else state["severity"] != "none"
    page = (tmp_path / "drift-simulation.html").read_text()
    assert state["model_version"] in page
    # The local tenant's own view knows nothing of it.
    assert SIMULATION not in json.dumps(drift("status", "--json").one)

    assert drift("simulate", "--clean").code == 0
    with database() as session:
        for table in ("verdicts", "drift_runs", "drift_states", "drift_references"):
            left = session.execute(
                text(f"SELECT count(*) FROM {table} WHERE model_version LIKE '{SIMULATION}%'")
            ).scalar_one()
            assert left == 0, table
        assert (
            session.execute(
                text("SELECT count(*) FROM tenants WHERE name = :name"), {"name": SIMULATION}
            ).scalar_one()
            == 0
        )
    assert drift("reports", "--model-version", MODEL).code == 0


def test_a_simulation_that_nobody_checks_says_so(drift, system, monkeypatch):
    monkeypatch.setenv("DETECTOR_DRIFT_WINDOW_SECONDS", "7200")
    monkeypatch.setenv("DETECTOR_DRIFT_WINDOW_PHOTOS", "many")
    assert "DETECTOR_DRIFT_WINDOW_PHOTOS" in drift("simulate").err


def test_a_dataset_without_photos_is_refused(drift, tmp_path):
    refused = drift("simulate", "--dataset", tmp_path)
    assert (refused.code, "manifest.csv" in refused.err) == (2, True)
    Path(tmp_path / "manifest.csv").write_text("file,split,label\nimages/a.jpg,val,real\n")
    assert "too few" in drift("simulate", "--dataset", tmp_path).err
