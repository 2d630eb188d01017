import pytest
import yaml
from typer.testing import CliRunner

from services.training.cli import app


@pytest.fixture
def run_file(config, tmp_path):
    path = tmp_path / "run.yaml"
    content = config.model_dump(mode="json")
    content["fit"]["rounds"] = 1
    path.write_text(yaml.safe_dump(content))
    return path


def test_train_tells_the_split_and_leaves_a_checkpoint(run_file, dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(dataset))
    monkeypatch.setenv("DETECTOR_RUNS_DIR", str(tmp_path / "runs"))
    done = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert done.exit_code == 0, done.output
    assert "train: 12 real, 12 generated" in done.output
    assert (tmp_path / "runs" / "0.0.0-test" / "checkpoint.pt").is_file()


def test_evaluate_of_no_package_is_one_line(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(dataset))
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert done.exit_code == 2
    assert "no model package" in " ".join(done.output.split())


def test_a_missing_dataset_is_one_line_without_a_traceback(run_file, monkeypatch):
    monkeypatch.delenv("DETECTOR_DATASET_DIR", raising=False)
    done = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert done.exit_code == 2
    assert "DETECTOR_DATASET_DIR is not set" in " ".join(done.output.split())
    assert "Traceback" not in done.output
