"""The evaluation photo by photo, kept in the package: what drift detection can compare with."""

import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.config import RunConfig
from services.training.data import Row, fingerprint, read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.export import compile_graph
from services.training.package import entry_of, finish, put_in_place, report_of
from shared.ml.encoder_quality import encoder_quality
from shared.ml.evaluation_photos import (
    PHOTOS_NAME,
    UNKNOWN_QUALITY,
    EvaluationPhotos,
    write_photos,
)
from shared.ml.header import read_header
from shared.ml.package import ModelPackage, load_package
from shared.ml.preprocess import preprocess
from shared.ml.spec import ModelManifest, PreprocessSpec

_BATCH = 16


def write_evaluation_photos(
    splits: dict[str, tuple[Row, ...]], xml: Path, spec: PreprocessSpec, directory: Path
) -> Path:
    """Judge every photo of `splits` once, as it is stored, and write PHOTOS_NAME; return its path.

    `xml` is the package's OpenVINO graph.
    """
    rows = _unique(splits)
    logits, embeddings = _judged(rows, xml, spec)
    path = directory / PHOTOS_NAME
    write_photos(_table(rows, logits, embeddings), path)
    return path


def photos_package(folder: Path, dataset: Path, output: Path | None = None) -> ModelManifest:
    """Add the photos of its evaluation to the package in `folder`; nothing else of it changes.

    `output` None replaces the package.

    Raises PackageError, or TrainingError when the dataset's test photos are not those of the
    package's evaluation.
    """
    found = load_package(folder)
    splits = evaluated_splits(found, dataset)
    target = (output or folder).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".photos-") as name:
        directory = Path(name)
        shutil.copytree(found.directory, directory, dirs_exist_ok=True)
        written = write_evaluation_photos(
            splits, found.openvino_xml, found.manifest.preprocess, directory
        )
        files = found.manifest.files.model_copy(update={"evaluation_photos": entry_of(written)})
        manifest = found.manifest.model_copy(update={"files": files})
        finish(directory, manifest, report_of(found))
        put_in_place(directory, target)
    return manifest


def evaluated_splits(found: ModelPackage, dataset: Path) -> dict[str, tuple[Row, ...]]:
    """Return the test photos that a package was evaluated on.

    Raises TrainingError when `dataset` has others.
    """
    config = RunConfig.model_validate(found.manifest.training.config)
    splits = split_rows(read_manifest(dataset, config.data.extra_manifests), config.data).test
    if fingerprint(_unique(splits)) != report_of(found)["test_fingerprint"]:
        raise TrainingError(
            f"the test photos of {dataset} are not those of the package's evaluation:"
            " give the data set that it was made from"
        )
    return splits


def _unique(splits: dict[str, tuple[Row, ...]]) -> list[Row]:
    return list({row.path: row for rows in splits.values() for row in rows}.values())


def _judged(
    rows: list[Row], xml: Path, spec: PreprocessSpec
) -> tuple[NDArray[np.float32], NDArray[np.float16] | None]:
    graph = compile_graph(xml)
    embeds = any("embedding" in output.names for output in graph.outputs)
    logits, embeddings = [], []
    with ThreadPoolExecutor(2) as threads:
        for start in range(0, len(rows), _BATCH):
            photos = threads.map(
                lambda row: preprocess(row.path.read_bytes(), spec), rows[start : start + _BATCH]
            )
            found = graph([np.stack(list(photos))])
            logits.append(np.array(found["logits"], np.float32))
            if embeds:
                embeddings.append(np.array(found["embedding"], np.float16))
    return np.concatenate(logits), np.concatenate(embeddings) if embeds else None


def _table(
    rows: list[Row], logits: NDArray[np.float32], embeddings: NDArray[np.float16] | None
) -> EvaluationPhotos:
    contents = [row.path.read_bytes() for row in rows]
    headers = [read_header(content) for content in contents]
    return EvaluationPhotos(
        logit=logits,
        label=np.array([row.label for row in rows], np.uint8),
        split=_words(row.split for row in rows),
        source=_words(row.family for row in rows),
        format=_words(header.format for header in headers),
        encoder_quality=np.array([_quality(content) for content in contents], np.int16),
        width=np.array([header.width for header in headers], np.int32),
        height=np.array([header.height for header in headers], np.int32),
        embedding=embeddings,
    )


def _words(values: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(values), np.str_)


def _quality(content: bytes) -> int:
    quality = encoder_quality(content)
    return UNKNOWN_QUALITY if quality is None else quality
