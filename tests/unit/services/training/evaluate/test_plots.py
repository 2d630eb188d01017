"""Pictures that show the numbers, small enough for a repository."""

import numpy as np
import pytest
from PIL import Image

from services.training.data.photos import Row
from services.training.evaluate.failures import write_failures
from services.training.evaluate.metrics import auc
from services.training.evaluate.numbers import Evaluation, Judged
from services.training.evaluate.plots import roc_curve, write_plots
from shared.ml.spec import Thresholds

THRESHOLDS = Thresholds(real_below=0.2, ai_above=0.9, false_accusation_budget=0.01)


def sample(n=300, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return labels, rng.normal(labels * 2 - 1.0, noise).round(1)


def test_the_area_below_the_curve_is_the_auc():
    labels, scores = sample()
    false, true = roc_curve(labels, scores)
    assert np.trapezoid(true, false) == pytest.approx(auc(labels, scores))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


@pytest.fixture
def evaluation(tmp_path):
    labels, logits = sample(40, noise=4.0)
    rows, lines = [], ["file,licence,source_url,source_repo"]
    for number, label in enumerate(labels):
        name = f"{number:02d}.jpg"
        Image.new("RGB", (400, 260), (number * 5, 90, 90)).save(tmp_path / name)
        licence = ("MIT", "CC-BY-4.0", "CC-BY-NC-4.0", "none-stated", "GPL-3.0")[number % 5]
        lines.append(f"{name},{licence},https://example.org/{number},shop/{number}")
        family = f"source-{number % 7}"
        row = Row(tmp_path / name, f"{number:064d}", int(label), family, family, "test")
        rows.append(row)
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    probability = 1 / (1 + np.exp(-2 * logits))
    verdicts = np.sign(np.round(probability * 2 - 1)).astype(np.int8)
    judged = Judged(logits, probability, verdicts, logits, verdicts > 1)
    return Evaluation({}, {"test_a": tuple(rows)}, {"test_a": {"clean": judged, "q40": judged}})


def test_plots_are_small_and_the_same_twice(evaluation, tmp_path):
    names = write_plots(evaluation, THRESHOLDS, tmp_path / "one")
    write_plots(evaluation, THRESHOLDS, tmp_path / "two")
    assert sorted(names) == sorted(path.name for path in (tmp_path / "one").iterdir())
    for name in names:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "two" / name).read_bytes()
        assert len(data) < 60_000
        with Image.open(tmp_path / "one" / name) as image:
            assert image.width >= 300
            assert len(image.getcolors()) > 4


def test_failures_are_the_worst_that_may_be_shown(evaluation, tmp_path):
    entries = write_failures(evaluation, tmp_path, tmp_path / "package")
    assert entries
    assert {entry["licence"] for entry in entries} <= {"MIT", "CC-BY-4.0"}
    judged = evaluation.judged["test_a"]["clean"]
    for label, name in ((0, "real"), (1, "ai_generated")):
        chosen = [entry for entry in entries if entry["label"] == name]
        errors = [abs(entry["probability"] - label) for entry in chosen]
        assert errors == sorted(errors, reverse=True)
        assert all(error >= 0.5 for error in errors)
        showable = [
            abs(probability - label)
            for row, probability, n in zip(
                evaluation.rows["test_a"], judged.probability, range(40), strict=True
            )
            if row.label == label and n % 5 in (0, 1)
        ]
        if max(showable) >= 0.5:
            assert errors[0] == pytest.approx(max(showable))
    for entry in entries:
        assert entry["url"].startswith("https://")
        assert entry["attribution"].startswith("shop/")
        with Image.open(tmp_path / "package" / entry["file"]) as image:
            assert max(image.size) <= 200
