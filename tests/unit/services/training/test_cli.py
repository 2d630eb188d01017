import pytest
import yaml
from typer.testing import CliRunner

from services.training.cli import app
from shared.registry.digest import package_digest
from shared.registry.mlflow_client import open_client, sqlite_path


@pytest.fixture
def run_file(config, tmp_path):
    path = tmp_path / "run.yaml"
    content = config.model_dump(mode="json")
    content["fit"] |= {"rounds": 2, "validate_every": 1}
    path.write_text(yaml.safe_dump(content))
    return path


def test_run_ends_with_curves_in_mlflow_and_a_registered_challenger(
    run_file, dataset, tmp_path, monkeypatch, registry
):
    """What a newcomer sees after `make train`, and that a second call goes on in one run."""
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(dataset))
    monkeypatch.setenv("DETECTOR_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("DETECTOR_MLFLOW_TRACKING_URI", registry.uri)
    done = CliRunner().invoke(app, ["run", "--config", str(run_file)])
    assert done.exit_code == 0, done.output
    assert "train: 12 real, 12 generated" in done.output
    assert (tmp_path / "runs" / "0.0.0-test" / "checkpoint.pt").is_file()

    challenger = registry.resolve("challenger")
    assert challenger is not None
    assert challenger.package_version == "0.0.0-test"
    assert challenger.digest == package_digest(tmp_path / "package")
    client = open_client(registry.uri, create=False)
    run = client.get_run(challenger.run_id)
    assert run.info.status == "FINISHED"
    curves = {"loss", "minutes", "auc_clean", "auc_q40"}
    steps = {
        key: [m.step for m in client.get_metric_history(run.info.run_id, key)] for key in curves
    }
    assert steps == {key: [1, 2] for key in curves}
    assert run.data.metrics["test_unseen_source/clean/auc"] == pytest.approx(
        challenger.metrics["test_unseen_source.clean.auc"], abs=1e-5
    )
    assert run.data.params["fit.learning_rate"] == "0.01"
    assert run.data.tags["data.fingerprint"] == challenger.data_fingerprint
    assert run.data.tags["git.dirty"] in {"true", "false"}
    assert run.data.tags["device"] == "cpu"

    again = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert again.exit_code == 0, again.output
    assert f"MLflow run {run.info.run_id} in" in " ".join(again.output.split())
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 2


def test_training_goes_on_while_mlflow_is_away(run_file, dataset, tmp_path, monkeypatch, registry):
    """It is said once; the history is sent when MLflow is back."""
    monkeypatch.setenv("DETECTOR_DATASET_DIR", str(dataset))
    monkeypatch.setenv("DETECTOR_RUNS_DIR", str(tmp_path / "runs"))
    store = sqlite_path(registry.uri)
    folder = store.parent
    folder.rename(tmp_path / "away")
    folder.write_text("a file where MLflow's folder was")
    monkeypatch.setenv("DETECTOR_MLFLOW_TRACKING_URI", registry.uri)
    done = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert done.exit_code == 0, done.output
    assert " ".join(done.output.split()).count("MLflow does not record this run") == 1

    folder.unlink()
    (tmp_path / "away").rename(folder)
    again = CliRunner().invoke(app, ["train", "--config", str(run_file)])
    assert again.exit_code == 0, again.output
    client = open_client(registry.uri, create=False)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [1, 2]


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
