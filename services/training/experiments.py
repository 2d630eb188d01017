"""The table of experiments: what each run changed on every tier of the validation photos.

Runs are compared on validation only, never on a test split, all on the validation photos of the
first one's configuration.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from services.training.config import RunConfig, load_config
from services.training.data.photos import read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.evaluate.metrics import Labels, Scores, auc, recall_at_fpr
from services.training.evaluate.scoring import Predictor, labels_of, score
from services.training.fit.training import BEST
from services.training.pipeline import trained_predictor
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.spec import PreprocessSpec

CONFIGS = Path(__file__).parent / "configs"
# The false-accusation rate at which the table's recall is read.
_FPR = 0.05
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """One run's numbers: tier -> AUC, and tier -> recall at 5% false accusations."""

    name: str
    auc: dict[str, float]
    recall: dict[str, float]


def compare(
    names: Sequence[str], settings: TrainingSettings, say: Say, inputs: Sequence[str] = ()
) -> list[Result]:
    """Score the best weights of each named run; the first is what the others are compared with.

    `inputs` are "short side:crop" in pixels, each tried with each run; none takes the largest input
    of the first run's configuration.

    Raises TrainingError for a run without weights, without the data, or for an unreadable input.
    """
    reference = _config(names[0])
    folder = settings.require_dataset()
    rows = split_rows(read_manifest(folder), reference.data).validation
    specs = [_spec(text) for text in inputs] or [
        reference.preprocess_spec(max(reference.evaluation.input_sizes))
    ]
    results = []
    for name in names:
        config = _config(name)
        predictor = _predictor(config, settings)
        for spec in specs:
            title = f"{name} at {spec.resize_short}:{spec.width}"
            say(f"scoring {title} on {len(rows)} photos")
            scores = {
                tier: score(rows, tier, predictor, spec, config.evaluation.batch_size)
                for tier in reference.calibration.tiers
            }
            results.append(_result(title, labels_of(rows), scores))
    return results


def _spec(text: str) -> PreprocessSpec:
    try:
        short, size = (int(part) for part in text.split(":"))
        return PreprocessSpec(resize_short=short, height=size, width=size)
    except ValueError as error:
        raise TrainingError(
            f"{text!r} is not an input such as 300:256 (short side:crop)"
        ) from error


def _result(title: str, labels: Labels, scores: dict[str, Scores]) -> Result:
    return Result(
        title,
        {tier: auc(labels, values) for tier, values in scores.items()},
        {tier: recall_at_fpr(labels, values, fpr=_FPR) for tier, values in scores.items()},
    )


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table: AUC and, in brackets, its change; then the recall."""
    first = results[0]
    header = "| run | " + " | ".join(first.auc) + " | mean AUC | mean recall at 5% |"
    lines = [header, "|---" * (len(first.auc) + 3) + "|"]
    for result in results:
        cells = [f"{value:.3f} ({value - first.auc[t]:+.3f})" for t, value in result.auc.items()]
        cells += [f"{_mean(result.auc):.4f}", f"{_mean(result.recall):.3f}"]
        lines.append(f"| {result.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


def _config(name: str) -> RunConfig:
    """Find the configuration by its file's name, in `configs` or in `configs/experiments`."""
    for path in (CONFIGS / f"{name}.yaml", CONFIGS / "experiments" / f"{name}.yaml"):
        if path.is_file():
            return load_config(path)
    raise TrainingError(f"there is no configuration {name}.yaml under {CONFIGS}")


def _predictor(config: RunConfig, settings: TrainingSettings) -> Predictor:
    path = REPOSITORY_ROOT / settings.runs_dir / config.package.version / BEST
    if not path.is_file():
        raise TrainingError(f"{path} is missing: train {config.package.version} first")
    return trained_predictor(config, torch.load(path, map_location="cpu", weights_only=True))
