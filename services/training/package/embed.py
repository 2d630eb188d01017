"""Gives an existing package an embedding, from its own weights: nothing is trained or judged."""

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from services.training.config import RunConfig
from services.training.data.photos import Row, read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.evaluate.decisions import rules_of
from services.training.package.embedding import EmbeddingFit
from services.training.package.export import Exported, write
from services.training.package.photos import evaluated_splits, write_evaluation_photos
from services.training.package.write import files_of, finish, put_in_place, report_of
from shared.ml.network import take_projection
from shared.ml.package import ModelPackage, load_package
from shared.ml.preprocess import preprocess
from shared.ml.spec import ModelManifest

# Photos in the parity check.
_PARITY_PHOTOS = 32


def embed_package(
    folder: Path, dataset: Path, output: Path | None = None, version: str | None = None
) -> ModelManifest:
    """Fit the embedding of the package in `folder` and write it, with its weights, to `output`.

    The backbone's weights stay bit for bit, and so do calibration, thresholds and every number of
    the evaluation. `output` None replaces the package; an embedding that it has is fitted again.
    `version` names the outcome: one that a registry knows must not mean two packages.
    A package with the photos of its evaluation gets them with the new embedding.

    Raises PackageError, TrainingError when the dataset is not the one of the package's
    calibration, or ParityError.
    """
    found = load_package(folder)
    rows = _validation(found, dataset)
    manifest, spec = found.manifest, found.manifest.one_image
    halves = load_file(found.weights)
    take_projection(halves)
    shown = rows[:: max(1, len(rows) // _PARITY_PHOTOS)]
    tested = evaluated_splits(found, dataset) if found.evaluation_photos else None
    target = (output or folder).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".embed-") as name:
        directory = Path(name)
        shutil.copytree(found.directory, directory, dirs_exist_ok=True)
        exported = write(
            manifest.architecture,
            halves,
            manifest.one_normalization,
            spec,
            np.stack([preprocess(row.path.read_bytes(), spec) for row in shown]),
            directory,
            EmbeddingFit(rows, spec),
        )
        if tested:
            write_evaluation_photos(tested, exported.xml, spec, rules_of(manifest), directory)
        written = _describe(found, exported, directory, version or manifest.version)
        put_in_place(directory, target)
    return written


def _describe(
    found: ModelPackage, exported: Exported, directory: Path, version: str
) -> ModelManifest:
    evaluation = directory / found.evaluation.name
    report = report_of(found)
    report["parity_max_abs"] = exported.parity_max_abs
    report["evidence_parity_max_abs"] = exported.evidence_parity_max_abs
    report["embedding_parity_max_abs"] = exported.embedding_parity_max_abs
    report["precision"] = exported.precision
    evaluation.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    manifest = found.manifest.model_copy(
        update={
            "version": version,
            "embedding": exported.embedding,
            # The new graph was compared with torch in no other.
            "precisions": (exported.precision,),
            "files": files_of(exported, evaluation),
        }
    )
    finish(directory, manifest, report)
    return manifest


def _validation(found: ModelPackage, dataset: Path) -> tuple[Row, ...]:
    training = found.manifest.training
    config = RunConfig.model_validate(training.config)
    rows = split_rows(read_manifest(dataset, config.data.extra_manifests), config.data).validation
    if len(rows) != training.n_calibration:
        raise TrainingError(
            f"{dataset} has {len(rows)} validation photos, the package was calibrated on"
            f" {training.n_calibration}: give the data set that it was made from"
        )
    return rows
