"""`detector drift reference` against a running drift service."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.core.settings import REPOSITORY_ROOT
from shared.db.drift.synthetic import SyntheticPhoto, insert_synthetic
from shared.db.engine import make_engine, make_session_factory
from shared.db.tenants.keys import get_or_create_tenant
from shared.ml.evaluation_photos import read_photos
from shared.ml.package import load_package
from shared.ml.postprocess import calibrated_probability
from tests.support.packages import ONE_NETWORK
from tests.support.servers import drop, provide
from tests.support.system import System

# The setup starts a drift service.
pytestmark = pytest.mark.timeout(180)

CHAMPION = load_package(REPOSITORY_ROOT / "models" / "champion")
VERSION = CHAMPION.manifest.version
COUNT = len(read_photos(CHAMPION.evaluation_photos))
PHOTOS = 2400
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


@pytest.fixture(scope="module")
def system(server_stack, tmp_path_factory) -> Iterator[System]:
    own = provide(server_stack)
    system = System(
        own, tmp_path_factory.mktemp("reference"), {"DETECTOR_DRIFT_POLL_SECONDS": "0.5"}
    )
    try:
        yield system
    finally:
        system.close()
        drop(own)


@pytest.fixture(scope="module")
def stored(system) -> None:
    """Two hours of photos of one tenant, too few for a reference by itself."""
    engine = make_engine(system.servers.database_url, 1)
    logits = [number % 97 / 20 - 3 for number in range(PHOTOS)]
    rule = CHAMPION.manifest.calibration
    photos = [
        SyntheticPhoto(
            START + timedelta(hours=2) * (number / PHOTOS),
            number,
            "real",
            calibrated_probability(logit, rule),
            logit,
        )
        for number, logit in enumerate(logits)
    ]
    with make_session_factory(engine).begin() as session:
        insert_synthetic(session, get_or_create_tenant(session, "shop"), VERSION, photos)
    engine.dispose()


@pytest.fixture
def reference(system, detector, monkeypatch, tmp_path):
    """`detector drift reference`, which knows the database."""
    for name, value in system.servers.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DETECTOR_LOCAL_DIR", str(tmp_path))
    return lambda *arguments: detector("drift", "reference", *arguments)


def listed(reference):
    return [
        (each["source"], each["chosen"], each["in_use"])
        for each in reference("list", "--json").lines
    ]


def test_choices_are_carried_out_by_the_drift_service(system, stored, reference):
    assert "no reference yet" in reference("list").err
    away = reference("evaluation", "--timeout", 0.1)
    assert away.code == 1
    assert "is it running" in away.err
    assert f"evaluation for {VERSION}; waits for the drift service" in reference("list").err

    system.drift()
    done = reference("evaluation", "--package", CHAMPION.directory, "--ai-share", 0.1)
    assert done.code == 0, done.err
    assert f"{VERSION} is compared with: evaluation of {VERSION}, {COUNT:,} photos" in done.err
    # The one that waited was carried out before.
    assert listed(reference) == [("evaluation", True, True), ("evaluation", True, False)]

    until = START + timedelta(hours=2)
    window = ("--model", VERSION, "--since", START.isoformat(), "--until", until.isoformat())
    frozen = reference("freeze", *window)
    assert frozen.code == 0, frozen.err
    assert f"to {until:%Y-%m-%d %H:%M:%S} UTC, 2,400 photos" in frozen.err
    assert listed(reference)[0] == ("production", True, True)
    table = reference("list").out
    assert table.count("operator") == 3

    back = reference("auto", "--model", VERSION)
    assert back.code == 0, back.err
    assert "no reference yet" in back.err
    assert not any(in_use for _, _, in_use in listed(reference))


def test_what_cannot_be_is_told(system, stored, reference, tmp_path):
    empty = ("--since", "2020-01-01T00:00Z", "--until", "2020-01-02T00:00Z")
    system.drift()
    failed = reference("freeze", "--model", VERSION, *empty)
    assert failed.code == 1
    assert "the reference stays as it was" in failed.err
    assert f"window for {VERSION}; failed" in reference("list").err
    assert reference("freeze", "--model", VERSION, *empty[2:], "--since", empty[3]).code == 2
    missing = reference("evaluation", "--package", tmp_path)
    assert missing.code == 2
    assert "no model package" in missing.err
    unknown = reference("evaluation", "--budget", 0.3)
    assert unknown.code == 2
    assert "it has them for" in unknown.err


def test_an_older_package_says_how_it_gets_its_photos(system, reference, tmp_path):
    older = tmp_path / "older"
    shutil.copytree(ONE_NETWORK, older)
    manifest = json.loads((older / "model.json").read_text())
    del manifest["files"]["evaluation_photos"]
    (older / "model.json").write_text(json.dumps(manifest))
    told = reference("evaluation", "--package", older)
    assert told.code == 2
    assert "services.training photos" in told.err
