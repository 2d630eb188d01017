"""`python -m services.training eyes`: what is missing is said in one line."""

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from services.training.cli import app
from services.training.errors import TrainingError
from services.training.eyes import cli
from services.training.eyes.config import EyesConfig, load_eyes_config
from services.training.eyes.run import pretrained_stages
from services.training.eyes.store import DONE, STACKS
from shared.core.settings import REPOSITORY_ROOT

CONFIG = EyesConfig.model_validate({"package": {"version": "0.0.0-test"}})


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    for name in ("EYES_DIR", "DATASET_DIR", "ORIGINALS_DIR", "WEIGHTS_DIR"):
        monkeypatch.delenv(f"DETECTOR_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


def said(*arguments):
    done = CliRunner().invoke(app, ["eyes", *arguments])
    assert done.exit_code == 1, done.output
    assert "Traceback" not in done.output
    line = " ".join(done.output.split())
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("command", ["tokens", "statistics", "folds", "package"])
def test_the_folder_must_be_set_and_outside_the_work_tree(command, monkeypatch):
    assert "DETECTOR_EYES_DIR is not set" in said(command)
    monkeypatch.setenv("DETECTOR_EYES_DIR", str(REPOSITORY_ROOT / "eyes"))
    assert "in the work tree" in said(command)


@pytest.mark.parametrize("command", ["store", "run"])
def test_the_store_needs_data_a_folder_and_originals(command, monkeypatch, tmp_path):
    assert "DETECTOR_DATASET_DIR is not set" in said(command)
    (tmp_path / "manifest.csv").write_text("file\n")
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(tmp_path))
    assert "DETECTOR_EYES_DIR is not set" in said(command)
    monkeypatch.setenv("DETECTOR_EYES_DIR", str(tmp_path / "eyes"))
    assert "DETECTOR_ORIGINALS_DIR is not set" in said(command)


@pytest.mark.parametrize("command", ["tokens", "statistics", "folds", "package"])
def test_a_missing_store_says_what_to_run(command, monkeypatch, tmp_path):
    monkeypatch.setenv("DETECTOR_EYES_DIR", str(tmp_path))
    assert "eyes store`" in said(command)


def test_missing_weights_are_named(monkeypatch, tmp_path):
    np.save(tmp_path / STACKS, np.zeros((1, 2, 3, 32, 32, 3), np.uint8))
    np.save(tmp_path / DONE, np.ones(1, bool))
    monkeypatch.setenv("DETECTOR_EYES_DIR", str(tmp_path))
    assert "DETECTOR_WEIGHTS_DIR is not set" in said("tokens")
    monkeypatch.setenv("DETECTOR_WEIGHTS_DIR", str(tmp_path))
    assert cli.ENCODER in said("tokens")
    assert CONFIG.tiles_weights in said("statistics")
    (tmp_path / cli.ENCODER).write_bytes(b"another file")
    assert "is not the encoder" in said("tokens")
    (tmp_path / CONFIG.tiles_weights).write_bytes(b"no weights")
    assert "cannot be read" in said("statistics")


def test_only_a_share_of_the_photos_is_looked_at_degraded(tmp_path):
    np.save(tmp_path / STACKS, np.zeros((8, 2, 3, 4, 4, 3), np.uint8))
    np.save(tmp_path / DONE, np.array([True] * 7 + [False]))
    stacks, ready = cli._stacks(tmp_path, CONFIG.model_copy(update={"degraded_share": 0.25}))
    assert stacks.shape == (8, 2, 3, 4, 4, 3)
    assert ready[:, 0].tolist() == [True] * 7 + [False]
    assert ready[:, 1].tolist() == [True] * 2 + [False] * 6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "package"),
        ({"package": {"version": "1"}, "stpes": 3}, "stpes"),
        ({"package": {"version": "1"}, "blocks": 6, "trunk_blocks": 6}, "nothing is tuned"),
        ({"package": {"version": "1"}, "folds": 1}, "folds"),
        ([], "eyes"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path, content, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(content))
    line = said("tokens", "--config", str(path))
    assert "is not a configuration of the eyes" in line
    assert message in line


def test_a_missing_configuration_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.yaml is not a configuration"):
        load_eyes_config(tmp_path / "none.yaml")


def test_the_shipped_configuration_is_valid():
    assert load_eyes_config(cli.DEFAULT).trunk_blocks < load_eyes_config(cli.DEFAULT).blocks


def test_missing_stages_are_named(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.safetensors cannot be read"):
        pretrained_stages(tmp_path / "none.safetensors")
