"""Writes a model package directory: the files, the manifest that names their hashes, the card."""

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.training.config import ModelConfig, RunConfig
from services.training.data.photos import Splits, fingerprint
from services.training.evaluate.measure import Calibrated
from services.training.evaluate.numbers import headline
from services.training.package.card import model_card
from services.training.package.export import Exported
from shared.ml.errors import PackageError
from shared.ml.evaluation_photos import PHOTOS_NAME
from shared.ml.members.trunks import TrunkStore
from shared.ml.package import TRUNKS, ModelPackage, load_package, read_manifest, sha256_file
from shared.ml.spec import (
    MANIFEST_NAME,
    FileEntry,
    ModelManifest,
    OperatingPoint,
    PackageFiles,
    PreprocessSpec,
    TrainingRecord,
)

EVALUATION_NAME = "evaluation.json"
CARD_NAME = "MODEL_CARD.md"


def write_package(
    directory: Path,
    config: RunConfig,
    splits: Splits,
    exported: Exported,
    spec: PreprocessSpec,
    calibrated: Calibrated,
    report: dict[str, Any],
) -> ModelManifest:
    """Complete a package in `directory`, which holds the exported files and PHOTOS_NAME.

    `report` becomes evaluation.json. The manifest is written last: a directory without it is
    unfinished and no worker loads it.
    """
    evaluation = directory / EVALUATION_NAME
    evaluation.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    manifest = ModelManifest(
        name=config.package.name,
        version=config.package.version,
        architecture=config.model.architecture,
        created_at=datetime.now(UTC).replace(microsecond=0),
        preprocess=spec,
        normalization=config.model.normalization,
        calibration=calibrated.rule.calibration,
        thresholds=calibrated.rule.thresholds,
        recheck=calibrated.rule.recheck,
        operating_points=tuple(
            OperatingPoint(thresholds=rule.thresholds, recheck=rule.recheck)
            for rule in calibrated.further
        ),
        embedding=exported.embedding,
        precisions=(exported.precision,),
        files=files_of(exported, evaluation),
        training=_record(config, splits),
        metrics={key: round(value, 6) for key, value in headline(report).items()},
    )
    finish(directory, manifest, report)
    return manifest


def finish(directory: Path, manifest: ModelManifest, report: dict[str, Any]) -> None:
    """Write the card and, last, the manifest."""
    (directory / CARD_NAME).write_text(model_card(manifest, report), encoding="utf-8")
    (directory / MANIFEST_NAME).write_text(
        manifest.model_dump_json(indent=1) + "\n", encoding="utf-8"
    )


def files_of(exported: Exported, evaluation: Path) -> PackageFiles:
    """Return the manifest's entries of files as they are now, with PHOTOS_NAME beside them."""
    photos = evaluation.with_name(PHOTOS_NAME)
    return PackageFiles(
        weights=entry_of(exported.weights),
        openvino_xml=entry_of(exported.xml),
        openvino_bin=entry_of(exported.bin),
        evaluation=entry_of(evaluation),
        evaluation_photos=entry_of(photos) if photos.is_file() else None,
    )


def report_of(found: ModelPackage) -> dict[str, Any]:
    """Return the content of a package's evaluation.json."""
    report: dict[str, Any] = json.loads(found.evaluation.read_text(encoding="utf-8"))
    return report


def put_in_place(directory: Path, output: Path) -> None:
    """Move a finished package over an older one, file by file, the manifest last.

    A trunk in `directory` goes first, to the trunks beside `output`: other releases share those.
    Files that only the older manifest names are deleted.
    Raises PackageError, before anything of the older package changes, when this one is not whole.
    """
    trunk = read_manifest(directory).trunk
    within, beside = directory / TRUNKS, output.parent / TRUNKS
    if trunk and (within / trunk.file.name).is_file():
        TrunkStore(beside).put(within / trunk.file.name, trunk.file)
    load_package(directory, beside)
    shutil.rmtree(within, ignore_errors=True)
    output.mkdir(exist_ok=True)
    older = _named(output)
    for path in sorted(directory.iterdir(), key=lambda path: path.name == MANIFEST_NAME):
        if path.is_dir():  # pictures: those of the older package go
            shutil.rmtree(output / path.name, ignore_errors=True)
        shutil.move(path, output / path.name)
    for name in older - _named(output):
        (output / name).unlink(missing_ok=True)


def _named(directory: Path) -> set[str]:
    """Return the names of the files that a package's manifest lists, the trunk's left out."""
    try:
        manifest = read_manifest(directory)
    except PackageError:  # there is none yet, or one of another time
        return set()
    files = manifest.files
    entries = [files.weights, files.openvino_xml, files.openvino_bin, files.evaluation_photos]
    entries += [files.evaluation, *(member.weights for member in manifest.members)]
    return {entry.name for entry in entries if entry}


def entry_of(path: Path) -> FileEntry:
    """Return the manifest's entry of a file as it is now."""
    return FileEntry(name=path.name, sha256=sha256_file(path), size_bytes=path.stat().st_size)


def _record(config: RunConfig, splits: Splits) -> TrainingRecord:
    used = [*splits.train, *splits.validation]
    used += [row for rows in splits.test.values() for row in rows]
    return TrainingRecord(
        seed=config.seed,
        git_revision=git_revision(),
        data_fingerprint=fingerprint({row.path: row for row in used}.values()),
        n_train=len(splits.train),
        n_calibration=len(splits.validation),
        base_weights=_start(config.model),
        config=config.model_dump(mode="json"),
    )


def _start(model: ModelConfig) -> str:
    if model.initial_runs:
        return f"mean of the runs {', '.join(model.initial_runs)}"
    return model.base_weights or "random weights"


def git_revision() -> str | None:
    """Return the commit of the code, with "-dirty" when the code differs; None outside git."""
    folder = Path(__file__).parents[1]
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".", "../../shared/ml")
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
