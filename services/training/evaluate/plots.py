"""The card's pictures: small, for every colour vision (Okabe and Ito 2008), no display needed."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from services.training.evaluate.decisions import NAMES
from services.training.evaluate.metrics import Labels, Scores
from services.training.evaluate.numbers import Evaluation, Judged
from services.training.evaluate.scoring import labels_of
from shared.ml.spec import Thresholds

_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_REAL_COLOUR, _GENERATED_COLOUR = _PALETTE[0], _PALETTE[1]
_DPI = 80


def write_plots(evaluation: Evaluation, thresholds: Thresholds, directory: Path) -> list[str]:
    """Write roc.png, reliability.png, confusion.png and scores.png; return their names.

    `directory` is made when missing. Each picture has one panel per split.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pictures = {
        "roc.png": _roc,
        "reliability.png": _reliability,
        "confusion.png": _confusion,
        "scores.png": _scores,
    }
    for name, draw in pictures.items():
        figure = Figure(figsize=(4.2 * len(evaluation.rows), 3.8), dpi=_DPI, layout="constrained")
        axes = figure.subplots(1, len(evaluation.rows), squeeze=False)[0]
        for axis, (split, rows) in zip(axes, evaluation.rows.items(), strict=True):
            axis.set_title(split.replace("_", " "), fontsize=10)
            draw(axis, labels_of(rows), evaluation.judged[split], thresholds)
        _save(figure, directory / name)
    return list(pictures)


def _roc(axis: Axes, labels: Labels, tiers: dict[str, Judged], _: Thresholds) -> None:
    for (tier, judged), colour in zip(tiers.items(), _PALETTE, strict=False):
        axis.plot(*roc_curve(labels, judged.logits), color=colour, lw=1.2, label=tier)
    axis.plot([0, 1], [0, 1], color="0.7", lw=0.8, ls="--")
    axis.set(xlabel="share of real photos accused", ylabel="share of generated found")
    axis.legend(fontsize=7, loc="lower right")


def roc_curve(labels: Labels, scores: Scores) -> tuple[Scores, Scores]:
    """Return false-positive and true-positive rates at every threshold, both from 0 to 1."""
    order = np.argsort(-scores, kind="stable")
    # Photos of one score pass a threshold together.
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    hits = labels[order] == 1
    true = np.cumsum(hits)[last] / max(1, hits.sum())
    false = np.cumsum(~hits)[last] / max(1, (~hits).sum())
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def _reliability(axis: Axes, labels: Labels, tiers: dict[str, Judged], _: Thresholds) -> None:
    axis.plot([0, 1], [0, 1], color="0.7", lw=0.8, ls="--")
    for (tier, judged), colour in zip(tiers.items(), _PALETTE, strict=False):
        index = np.minimum((judged.probability * 10).astype(int), 9)
        filled = [b for b in range(10) if (index == b).any()]
        said = [judged.probability[index == b].mean() for b in filled]
        true = [labels[index == b].mean() for b in filled]
        axis.plot(said, true, color=colour, lw=1, marker="o", ms=3, label=tier)
    axis.set(xlabel="probability said", ylabel="share that is generated", xlim=(0, 1), ylim=(0, 1))
    axis.legend(fontsize=7, loc="upper left")


def _confusion(axis: Axes, labels: Labels, tiers: dict[str, Judged], _: Thresholds) -> None:
    tier, judged = next(iter(tiers.items()))
    counts = np.array(
        [
            [int(((labels == label) & (judged.verdicts == verdict)).sum()) for verdict in NAMES]
            for label in (0, 1)
        ]
    )
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        colour = "white" if share > 0.6 else "black"
        axis.text(
            column, row, f"{count}\n{share:.1%}", ha="center", va="center", color=colour, fontsize=9
        )
    axis.set_xticks(range(3), [f"called\n{name}" for name in NAMES.values()], fontsize=8)
    axis.set_yticks(range(2), ["real", "generated"], fontsize=8)
    axis.set_xlabel(f"tier {tier}", fontsize=8)


def _scores(axis: Axes, labels: Labels, tiers: dict[str, Judged], limits: Thresholds) -> None:
    tier, judged = next(iter(tiers.items()))
    bins = np.linspace(0, 1, 26).tolist()
    for label, name, colour in ((0, "real", _REAL_COLOUR), (1, "generated", _GENERATED_COLOUR)):
        values = judged.probability[labels == label]
        axis.hist(values, bins, alpha=0.55, color=colour, label=name, density=True)
    for limit in (limits.real_below, limits.ai_above):
        axis.axvline(limit, color="black", lw=1, ls=":")
    axis.set(xlabel=f"probability, tier {tier}; dotted: thresholds", ylabel="density")
    axis.legend(fontsize=8)


def _save(figure: Figure, path: Path) -> None:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    # Few colours compress well, and no date or version in the file: the same numbers, the same
    # bytes.
    picture.quantize(64).save(path, "PNG", optimize=True)
