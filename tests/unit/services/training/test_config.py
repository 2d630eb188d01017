from pathlib import Path

import pytest

import services.training
from services.training.config import load_config
from services.training.errors import TrainingError
from services.training.eyes.config import load_eyes_config

FOLDER = Path(services.training.__file__).parent / "configs"
EYES = FOLDER / "eyes.yaml"
# Those of public data sets have tests of their own.
CONFIGS = sorted({*FOLDER.glob("*.yaml"), *FOLDER.glob("experiments/*.yaml")} - {EYES})


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_valid(path):
    config = load_config(path)
    assert config.preprocess_spec(256).resize_short == config.resize_short


def test_the_configuration_of_the_eyes_is_valid():
    assert load_eyes_config(EYES).trunk_blocks < load_eyes_config(EYES).blocks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("package: {version: 1.0.0}\nfit: {round: 3}", "round"),
        ("package: {version: 1.0.0}\nfit: {batch_size: 0}", "batch_size"),
        ("seed: 1", "package"),
        ("a: [", "not a training configuration"),
        ("", "not a training configuration"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_config(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"nothing\.yaml"):
        load_config(tmp_path / "nothing.yaml")


def test_a_configuration_extends_another_field_by_field(tmp_path):
    (tmp_path / "base.yaml").write_text("fit: {rounds: 3, batch_size: 8}\npackage: {version: a}")
    (tmp_path / "more").mkdir()
    path = tmp_path / "more" / "run.yaml"
    path.write_text("extends: ../base.yaml\nfit: {rounds: 5}\npackage: {version: b}")
    config = load_config(path)
    assert (config.fit.rounds, config.fit.batch_size, config.package.version) == (5, 8, "b")
    path.write_text("extends: ../absent.yaml\npackage: {version: b}")
    with pytest.raises(TrainingError, match=r"absent\.yaml"):
        load_config(path)
