"""`detector models` against a real registry: who becomes champion, and who does not."""

import json

import pytest
from typer.testing import CliRunner

from services.training.registry.cli import app
from shared.registry.records import CHALLENGER, CHAMPION
from tests.support.packages import ONE_NETWORK, variant, with_numbers


@pytest.fixture
def detector(registry, tmp_path, monkeypatch):
    """Call `detector models …`; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("DETECTOR_MLFLOW_TRACKING_URI", registry.uri)
    monkeypatch.setenv("DETECTOR_MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DETECTOR_ACTOR", "release pipeline")
    # What serves while the registry has no champion: the challengers here are made from it.
    monkeypatch.setenv("DETECTOR_MODEL_DIR", str(ONE_NETWORK))

    def call(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return done.exit_code, done.stdout, done.stderr

    return call


def test_register_promote_rollback_and_the_history_of_it(detector, registry, tmp_path):
    code, out, _err = detector("register", ONE_NETWORK)
    assert (code, "is version 1: challenger" in out) == (0, True)
    assert detector("promote", "challenger")[0] == 0
    detector("register", variant(tmp_path / "second", "second", 0.1))
    code, out, _err = detector("promote", "challenger", "--reason", "a better calibration")
    assert (code, "champion is version 2 (second), before it version 1" in out) == (0, True)
    assert registry.resolve(CHALLENGER) is None

    code, out, _err = detector("rollback", "--reason", "complaints", "--json")
    assert (code, json.loads(out)["version"]) == (0, 1)
    assert registry.resolve(CHAMPION).number == 1

    code, out, _err = detector("history", "--json")
    entries = json.loads(out)
    assert [(e["action"], e["version"], e["previous"], e["reason"]) for e in entries] == [
        ("promote", 1, None, ""),
        ("promote", 2, 1, "a better calibration"),
        ("rollback", 1, 2, "complaints"),
    ]
    assert {entry["by"] for entry in entries} == {"release pipeline"}
    # One champion back there is none before it.
    code, _out, err = detector("rollback")
    assert (code, "version 1 is the first champion" in err) == (1, True)


def test_the_gate_refuses_with_reasons_and_force_needs_one(detector, registry, tmp_path):
    detector("register", ONE_NETWORK)
    detector("promote", "challenger")
    detector("register", with_numbers(variant(tmp_path / "worse", "worse"), auc=0.6))
    code, out, err = detector("promote", "2")
    assert (code, out) == (1, "")
    assert "the quality gate refuses version 2 (worse)" in err
    assert "  - AUC on test_unseen_source clean is 0.600, the champion's" in err
    assert registry.resolve(CHAMPION).number == 1

    code, _out, err = detector("promote", "2", "--force")
    assert (code, "--force needs --reason" in err) == (1, True)
    code, out, _err = detector("promote", "2", "--force", "--reason", "the only one we have")
    assert (code, "overridden" in out) == (0, True)
    entry = registry.history()[-1]
    assert (entry.forced, entry.reason) == (True, "the only one we have")
    assert any("AUC on test_unseen_source clean" in refusal for refusal in entry.refusals)


def test_a_first_challenger_is_held_against_the_shipped_package(detector, tmp_path):
    detector("register", with_numbers(variant(tmp_path / "worse", "worse"), auc=0.6))
    code, _out, err = detector("promote", "challenger")
    assert (code, "the champion's" in err) == (1, True)


def test_one_version_name_never_means_two_packages(detector, tmp_path):
    """Not even with force: verdicts name only the package's version."""
    detector("register", variant(tmp_path / "one", "1.0.0"))
    assert detector("promote", "1")[0] == 0
    detector("register", variant(tmp_path / "two", "1.0.0", 0.1))
    code, _out, err = detector("promote", "2", "--force", "--reason", "why not")
    assert (code, "could not be told apart" in err) == (1, True)


def test_list_and_show_tell_numbers_and_the_gates_answer(detector):
    detector("register", ONE_NETWORK)
    code, out, _err = detector("list", "--json")
    (version,) = json.loads(out)
    assert (code, version["aliases"]) == (0, ["challenger"])
    assert detector("list")[1].count("challenger") == 1
    code, out, _err = detector("show", "challenger")
    assert (code, "The quality gate lets it pass." in out) == (0, True)
    assert version["digest"] in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nobody"], "no version has the alias 'nobody'"),
        (["promote", "12"], "version 12"),
        (["register", "/nowhere"], "no model package at"),
    ],
)
def test_what_is_not_there_is_one_line(detector, arguments, words):
    code, _out, err = detector(*arguments)
    assert (code, words in err, err.count("\n")) == (2, True, 1)


def test_promoting_the_champion_again_is_refused(detector):
    detector("register", ONE_NETWORK)
    detector("promote", "1")
    code, _out, err = detector("promote", "1")
    assert (code, err) == (1, "detector: version 1 is champion already\n")
