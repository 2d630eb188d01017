"""The table of experiments, from two real runs of seconds."""

import pytest
import yaml

from services.training import experiments
from services.training.config import load_config
from services.training.errors import TrainingError
from services.training.pipeline import prepare, train
from services.training.settings import TrainingSettings


@pytest.fixture
def settings(dataset, tmp_path):
    return TrainingSettings(dataset_dir=dataset, weights_dir=None, runs_dir=tmp_path / "runs")


@pytest.fixture
def trained(config, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "CONFIGS", tmp_path)
    content = config.model_dump(mode="json")
    for name, rate in (("control", 0.01), ("frozen", 1e-9)):
        content["package"]["version"] = name
        content["fit"]["learning_rate"] = rate
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
        train(prepare(load_config(tmp_path / f"{name}.yaml"), settings), lambda *_: None)


def test_runs_are_compared_with_the_first_on_every_tier(trained, settings):
    """A run that cannot learn is seen to be worse, by the difference that is printed."""
    results = experiments.compare(["control", "frozen"], settings, lambda _: None)
    control, frozen = results
    assert set(control.auc) == {"clean", "q40"}
    assert control.auc["clean"] > 0.9 > frozen.auc["clean"]
    lines = experiments.table(results).splitlines()
    assert len(lines) == 4
    change = frozen.auc["clean"] - control.auc["clean"]
    assert f"{frozen.auc['clean']:.3f} ({change:+.3f})" in lines[3]
    assert lines[2].startswith("| control at 64:64 | ")


def test_each_input_is_a_row(trained, settings):
    results = experiments.compare(["control"], settings, lambda _: None, ["64:48", "32:32"])
    assert [result.name for result in results] == ["control at 64:48", "control at 32:32"]


@pytest.mark.parametrize(
    ("names", "at", "message"),
    [
        (["nothing"], [], "nothing"),
        (["control"], ["wide"], "300:256"),
        (["control"], ["64:0"], "300:256"),
    ],
)
def test_a_mistake_is_named(trained, settings, names, at, message):
    with pytest.raises(TrainingError, match=message):
        experiments.compare(names, settings, lambda _: None, at)


def test_a_run_without_weights_is_named(trained, config, settings, tmp_path):
    (settings.runs_dir / "control" / "best.pt").unlink()
    with pytest.raises(TrainingError, match="train control first"):
        experiments.compare(["control"], settings, lambda _: None)
