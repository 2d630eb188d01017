"""Which calibration holds on sources that it was not fitted on: a comparison on validation photos.

`python -m services.training.calibration_study [PACKAGE]` judges the validation photos of
DETECTOR_DATASET_DIR with a package and prints the table that docs/evaluation.md quotes.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedGroupKFold

from services.training.config import RunConfig
from services.training.data.photos import read_manifest, split_rows
from services.training.evaluate.calibrate import fit_platt, group_weights
from services.training.evaluate.decisions import probabilities
from services.training.evaluate.metrics import (
    Labels,
    Scores,
    even_class_weights,
    expected_calibration_error,
)
from services.training.evaluate.scoring import labels_of, score
from services.training.package.export import openvino_predictor
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import load_package

# (labels, logits, weights) of some photos -> probabilities of other logits.
Fit = Callable[[Labels, Scores, Scores], Callable[[Scores], Scores]]
_FOLDS = 5
# Shuffles of the sources: with few of them one division says little.
_REPEATS = 20


def _platt(labels: Labels, logits: Scores, weights: Scores) -> Callable[[Scores], Scores]:
    calibration = fit_platt(labels, logits, weights)
    return lambda values: probabilities(values, calibration)


def _temperature(labels: Labels, logits: Scores, weights: Scores) -> Callable[[Scores], Scores]:
    """Platt's slope without its shift: the photos and their mirror image have none."""
    mirrored = np.concatenate([labels, 1 - labels]), np.concatenate([logits, -logits])
    calibration = fit_platt(*mirrored, np.concatenate([weights, weights]))
    return lambda values: probabilities(values, calibration)


def _isotonic(labels: Labels, logits: Scores, weights: Scores) -> Callable[[Scores], Scores]:
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    model.fit(logits, labels, sample_weight=weights)
    return lambda values: np.asarray(model.predict(values), dtype=np.float64)


METHODS: dict[str, Fit] = {"Platt": _platt, "temperature": _temperature, "isotonic": _isotonic}


def compare(labels: Labels, logits: Scores, families: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return ECE and log loss on sources held out, by method, photos alike or by source.

    "photos" counts photos alike within their class, "sources" as `group_weights` does. Both
    numbers are means over repeated divisions into folds of whole families, under even classes.
    """
    by_weight = {"photos": even_class_weights(labels), "sources": group_weights(labels, families)}
    table: dict[str, dict[str, float]] = {}
    for kind, weights in by_weight.items():
        for name, fit in METHODS.items():
            runs = []
            for seed in range(_REPEATS):
                held_out = _held_out(labels, logits, families, weights, fit, seed)
                clipped = np.clip(held_out, 1e-3, 1 - 1e-3)
                loss = -np.log(np.where(labels == 1, clipped, 1 - clipped))
                even = even_class_weights(labels)
                ece = expected_calibration_error(labels, held_out, weights=even)
                by_source = expected_calibration_error(
                    labels, held_out, weights=by_weight["sources"]
                )
                runs.append((ece, by_source, float((even * loss).sum())))
            means = np.mean(runs, axis=0)
            keys = ("ece", "ece_by_source", "log_loss")
            table[f"{name}, {kind}"] = dict(zip(keys, map(float, means), strict=True))
    return table


def _held_out(
    labels: Labels,
    logits: Scores,
    families: Sequence[str],
    weights: Scores,
    fit: Fit,
    seed: int,
) -> Scores:
    """Return each photo's probability by a calibration that saw nothing of its family."""
    probability = np.empty(len(labels))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for seen, unseen in folds.split(logits, labels, families):
        apply = fit(labels[seen], logits[seen], weights[seen])
        probability[unseen] = apply(logits[unseen])
    return probability


def main() -> None:
    """Judge, compare, print."""
    arguments = sys.argv[1:] or [str(REPOSITORY_ROOT / "models" / "0.3.1")]
    package = load_package(Path(arguments[0]))
    config = RunConfig.model_validate(package.manifest.training.config)
    dataset = TrainingSettings().require_dataset()
    rows = split_rows(read_manifest(dataset, config.data.extra_manifests), config.data).validation
    predictor = openvino_predictor(package.openvino_xml)
    tiers = config.calibration.tiers
    logits = [score(rows, tier, predictor, package.manifest.one_image, 16) for tier in tiers]
    families = [row.family for row in rows] * len(tiers)
    table = compare(np.tile(labels_of(rows), len(tiers)), np.concatenate(logits), families)
    lines = ["| calibration | ECE | ECE by source | log loss |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {n['ece']:.4f} | {n['ece_by_source']:.4f} | {n['log_loss']:.4f} |"
        for name, n in table.items()
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
