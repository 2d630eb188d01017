"""The real way from photos to package, small."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from services.training.data.photos import read_manifest
from services.training.errors import TrainingError
from services.training.evaluate.decisions import UNCERTAIN, rules_of
from services.training.evaluate.metrics import auc
from services.training.evaluate.numbers import headline
from services.training.evaluate.reevaluate import differences, reevaluate
from services.training.fit.training import BEST, CHECKPOINT, HISTORY, Fit
from services.training.package.embed import embed_package
from services.training.package.export import openvino_predictor
from services.training.package.photos import photos_package
from services.training.pipeline import package, prepare, train
from services.training.settings import TrainingSettings
from shared.ml.evaluation_photos import read_photos
from shared.ml.package import load_package
from shared.ml.postprocess import judge
from shared.ml.precision import TOLERANCES


@pytest.fixture
def settings(dataset, tmp_path):
    """With the scores of a peer that knows the labels of half the test photos."""
    rows = [row for row in read_manifest(dataset) if row.split.startswith("test")]
    peers = tmp_path / "peers.csv"
    lines = [
        f"{row.path.relative_to(dataset).as_posix()},{tier},{row.label}"
        for row in rows[::2] + rows[1::4]
        for tier in ("clean", "q40")
    ]
    peers.write_text("\n".join(["file,tier,looker", *lines]) + "\n")
    return TrainingSettings(
        dataset_dir=dataset, weights_dir=None, runs_dir=tmp_path / "runs", peers_file=peers
    )


def quiet(*_):
    pass


@pytest.mark.timeout(400)  # two exports, each of many seconds
def test_photos_become_a_package_that_judges(config, settings, dataset, tmp_path):
    """Train, calibrate, evaluate, package; then the package alone repeats the evaluation."""
    run = prepare(config, settings)
    train(run, quiet)
    manifest = package(run, quiet)

    found = load_package(config.package.output)
    assert found.manifest == manifest
    assert manifest.training.n_train == len(run.splits.train) == 24
    assert manifest.metrics["test_unseen_source.clean.auc"] > 0.9
    assert {value.dtype for value in load_file(found.weights).values()} <= {
        torch.float16,
        torch.int64,
    }

    package_again, report = reevaluate(config.package.output, dataset, settings, validation=True)
    assert package_again.manifest == manifest
    for key, value in headline(report).items():
        assert manifest.metrics[key] == pytest.approx(value, abs=1e-5)

    evaluation = json.loads(found.evaluation.read_text())
    assert differences(evaluation, json.loads(json.dumps(report)), 1e-6) == []
    report["splits"]["test_unseen_source"]["q40"]["auc"] -= 0.1
    (difference,) = differences(evaluation, report)
    assert difference.startswith("splits.test_unseen_source.q40.auc is ")
    assert manifest.precisions == ("f32",)
    assert evaluation["precision"] == "f32"
    assert evaluation["parity_max_abs"] < TOLERANCES["f32"].logit
    assert set(report["splits"]) == {"test_unseen_source", "test_unseen_generator"}
    card = (config.package.output / "MODEL_CARD.md").read_text()
    auc = manifest.metrics["test_unseen_source.clean.auc"]
    assert f"| clean | {auc:.3f} (" in card
    budgets = [point.thresholds.false_accusation_budget for point in manifest.operating_points]
    assert budgets == [0.02, 0.05]
    assert all(manifest.at_budget(budget).thresholds for budget in budgets)
    assert len(evaluation["operating_points"]["test_unseen_source"]["q40"]) == 2
    assert "| test_unseen_source | q40 | 5% |" in card
    for name in evaluation["plots"] + [each["file"] for each in evaluation["failures"]]:
        assert f"({name})" in card
        assert (config.package.output / name).stat().st_size < 100_000
    assert len(evaluation["plots"]) == 4
    assert "| test_unseen_source | q40 | looker |" in card
    assert judge(10.0, manifest).probability > judge(-10.0, manifest).probability
    _the_photos_are_those_of_the_evaluation(found, dataset, tmp_path)
    _an_older_package_gets_the_same_embedding(found, dataset, tmp_path)


def _the_photos_are_those_of_the_evaluation(found, dataset, tmp_path):
    """One row per test photo; and a package made before them gets the same file."""
    photos = read_photos(found.evaluation_photos)
    tested = [row for row in read_manifest(dataset) if row.split.startswith("test")]
    assert len(photos) == len(tested) == 12
    assert photos.embedding.shape == (12, found.manifest.embedding.dim)
    own = photos.split == "test_unseen_source"
    assert photos.label[~own].tolist() == [1]
    assert auc(photos.label[own].astype(int), photos.logit[own].astype(float)) == pytest.approx(
        found.manifest.metrics["test_unseen_source.clean.auc"]
    )
    rule = rules_of(found.manifest)[0]
    called = rule.verdicts(photos.logit[own].astype(float), photos.second_logit[own].astype(float))
    uncertain = found.manifest.metrics["test_unseen_source.clean.uncertain_rate"]
    assert (called == UNCERTAIN).mean() == pytest.approx(uncertain, abs=1e-6)
    assert set(photos.source[photos.label == 0]) == {row.group for row in tested if not row.label}
    assert (photos.width == 64).all()
    assert (photos.encoder_quality >= 70).all()
    older = tmp_path / "older"
    shutil.copytree(found.directory, older)
    (older / found.evaluation_photos.name).unlink()
    manifest = json.loads((older / "model.json").read_text())
    del manifest["files"]["evaluation_photos"]
    (older / "model.json").write_text(json.dumps(manifest))
    assert load_package(older).evaluation_photos is None
    assert photos_package(older, dataset) == found.manifest
    assert load_package(older).evaluation_photos.read_bytes() == (
        found.evaluation_photos.read_bytes()
    )


def _an_older_package_gets_the_same_embedding(found, dataset, tmp_path):
    """`embed` takes the package alone: the weights stay as they are, and so do the logits."""
    manifest = found.manifest
    assert manifest.embedding.photos == manifest.training.n_calibration
    again = embed_package(found.directory, dataset, tmp_path / "embedded", "0.0.1-test")
    assert again.embedding == manifest.embedding
    assert (again.version, again.metrics) == ("0.0.1-test", manifest.metrics)
    package = load_package(tmp_path / "embedded")
    before, after = load_file(found.weights), load_file(package.weights)
    assert before.keys() == after.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    spec = manifest.preprocess
    images = np.random.default_rng(0).integers(
        0, 256, (4, spec.height, spec.width, 3), dtype=np.uint8
    )
    logits = [openvino_predictor(each.openvino_xml)(images) for each in (found, package)]
    assert np.abs(logits[0] - logits[1]).max() < TOLERANCES["f32"].logit
    photos = [read_photos(each.evaluation_photos) for each in (found, package)]
    assert np.abs(photos[0].embedding - photos[1].embedding).max() < 0.05
    assert "## Embedding" in (tmp_path / "embedded" / "MODEL_CARD.md").read_text()

    other = tmp_path / "other"
    shutil.copytree(dataset, other)
    lines = (other / "manifest.csv").read_text().splitlines(keepends=True)
    lines.remove(next(line for line in lines if ",val," in line))
    (other / "manifest.csv").write_text("".join(lines))
    with pytest.raises(TrainingError, match="the package was calibrated on"):
        embed_package(found.directory, other)
    lines.remove(next(line for line in lines if ",test_unseen_source," in line))
    (other / "manifest.csv").write_text("".join(lines))
    with pytest.raises(TrainingError, match="are not those of the package's evaluation"):
        photos_package(found.directory, other)


def test_a_stopped_run_continues_to_the_same_weights(config, settings):
    """Two rounds, a restart and two more give what four rounds at once give, bit for bit."""
    run = prepare(config, settings)

    def fit(name):
        return Fit(config, run.splits, None, settings.runs_dir / name)

    fit("whole").run()

    class Stopped(Exception):
        pass

    def stop_after_half(share, _line):
        if share > 0.6:
            raise Stopped

    with pytest.raises(Stopped):
        fit("stopped").run(stop_after_half)
    resumed = fit("stopped")
    assert resumed.state.round == 2
    resumed.run()

    whole, stopped = (
        torch.load(settings.runs_dir / name / BEST, weights_only=True)
        for name in ("whole", "stopped")
    )
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)
    lines = (settings.runs_dir / "stopped" / HISTORY).read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == [2, 4]


def test_a_checkpoint_of_another_configuration_is_not_continued(config, settings):
    run = prepare(config, settings)
    train(run, quiet)
    assert (run.directory / CHECKPOINT).is_file()
    changed = config.model_copy(update={"seed": config.seed + 1})
    with pytest.raises(TrainingError, match="another configuration"):
        train(prepare(changed, settings), quiet)


def test_the_time_limit_ends_the_schedule(config, settings):
    """A run that is out of time stops early, at a learning rate of nearly zero, and is usable."""
    fit = config.fit.model_copy(update={"rounds": 10_000, "max_minutes": 0.02})
    run = prepare(config.model_copy(update={"fit": fit}), settings)
    shares = []
    best = train(run, lambda share, _line: shares.append(share))
    assert best.is_file()
    assert shares[-1] == 1.0
    assert np.all(np.diff(shares) >= 0)


@pytest.mark.parametrize(
    ("field", "variable"),
    [("dataset_dir", "DETECTOR_DATASET_DIR"), ("weights_dir", "DETECTOR_WEIGHTS_DIR")],
)
def test_a_missing_folder_says_what_to_set(config, settings, field, variable, tmp_path):
    model = config.model.model_copy(update={"base_weights": "weights.safetensors"})
    config = config.model_copy(update={"model": model})
    for value in (None, tmp_path):
        folders = {"dataset_dir": settings.dataset_dir, "weights_dir": tmp_path, field: value}
        broken = TrainingSettings(**folders, runs_dir=tmp_path)
        with pytest.raises(TrainingError, match=variable):
            prepare(config, broken)
