"""Going on from earlier runs, and from the mean of several."""

import pytest
import torch

from services.training.errors import TrainingError
from services.training.fit.training import BEST, Fit, mean_weights
from services.training.pipeline import prepare, train
from services.training.settings import TrainingSettings


@pytest.fixture
def settings(dataset, tmp_path):
    return TrainingSettings(dataset_dir=dataset, weights_dir=None, runs_dir=tmp_path / "runs")


def with_version(config, version, **model):
    return config.model_copy(
        update={
            "package": config.package.model_copy(update={"version": version}),
            "model": config.model.model_copy(update=model),
        }
    )


def quiet(*_):
    pass


def test_a_run_starts_from_the_mean_of_earlier_ones(config, settings):
    """Head included, so that what they learnt is not lost."""
    for seed, version in enumerate(("a", "b")):
        run = prepare(with_version(config, version).model_copy(update={"seed": seed}), settings)
        train(run, quiet)
    paths = [settings.runs_dir / name / BEST for name in ("a", "b")]
    first, second = (torch.load(path, weights_only=True) for path in paths)
    mean = mean_weights(paths)
    for key in ("classifier.weight", "conv_stem.weight"):
        assert torch.allclose(mean[key], (first[key] + second[key]) / 2)
        assert not torch.equal(first[key], second[key])

    merged = prepare(with_version(config, "c", initial_runs=("a", "b")), settings)
    fit = Fit(merged.config, merged.splits, None, settings.runs_dir / "c", paths)
    assert all(
        torch.equal(value, mean[key]) for key, value in fit.model.backbone.state_dict().items()
    )
    assert train(merged, quiet).is_file()


def test_a_missing_or_unlike_run_is_named(config, settings, tmp_path):
    with pytest.raises(TrainingError, match="nothing"):
        train(prepare(with_version(config, "d", initial_runs=("nothing",)), settings), quiet)
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pt")
    torch.save({"b": torch.zeros(1)}, tmp_path / "b.pt")
    with pytest.raises(TrainingError, match="architectures"):
        mean_weights([tmp_path / "a.pt", tmp_path / "b.pt"])
