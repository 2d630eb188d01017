import json

import pytest
import yaml
from typer.testing import CliRunner

from services.training.cli import app


@pytest.fixture
def run_file(config, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return path


def test_run_then_evaluate(run_file, config, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(dataset))
    monkeypatch.setenv("DETECTOR_RUNS_DIR", str(tmp_path / "runs"))
    done = CliRunner().invoke(app, ["run", "--config", str(run_file)])
    assert done.exit_code == 0, done.output
    assert (config.package.output / "model.json").is_file()
    again = CliRunner().invoke(app, ["evaluate", str(config.package.output)])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["splits"]["test_unseen_source"]["clean"]["auc"] > 0.9


def test_a_missing_dataset_is_one_line_without_a_traceback(run_file, monkeypatch):
    monkeypatch.delenv("DETECTOR_DATASET_DIR", raising=False)
    done = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert done.exit_code == 2
    assert "DETECTOR_DATASET_DIR is not set" in " ".join(done.output.split())
    assert "Traceback" not in done.output
