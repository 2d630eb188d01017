"""The evaluation photo by photo, kept in the package: what drift detection can compare with."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.config import RunConfig
from services.training.data.photos import Row, fingerprint, read_manifest, split_rows
from services.training.errors import TrainingError
from services.training.evaluate.decisions import Rule, rules_of
from services.training.package.export import compile_graph
from services.training.package.write import entry_of, finish, put_in_place, report_of
from shared.ml.evaluation_photos import (
    PHOTOS_NAME,
    UNKNOWN_QUALITY,
    EvaluationPhotos,
    write_photos,
)
from shared.ml.formats.encoder_quality import encoder_quality
from shared.ml.formats.header import read_header
from shared.ml.package import ModelPackage, load_package
from shared.ml.preprocess import preprocess
from shared.ml.recheck import reencode
from shared.ml.spec import ModelManifest, PreprocessSpec

_BATCH = 16


def write_evaluation_photos(
    splits: dict[str, tuple[Row, ...]],
    xml: Path,
    spec: PreprocessSpec,
    rules: Sequence[Rule],
    directory: Path,
) -> Path:
    """Judge every photo of `splits` as it is stored and write PHOTOS_NAME; return its path.

    `xml` is the package's OpenVINO graph. Where any of `rules` asks, a photo gets a second look.
    """
    rows = _unique(splits)
    judged = _judged(rows, xml, spec, rules)
    path = directory / PHOTOS_NAME
    write_photos(_table(rows, judged), path)
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
            splits,
            found.openvino_xml,
            found.manifest.one_image,
            rules_of(found.manifest),
            directory,
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


@dataclass(frozen=True, slots=True)
class _Judged:
    logit: NDArray[np.float32]
    second_logit: NDArray[np.float32]
    embedding: NDArray[np.float16] | None


def _judged(rows: list[Row], xml: Path, spec: PreprocessSpec, rules: Sequence[Rule]) -> _Judged:
    graph = compile_graph(xml)
    embeds = any("embedding" in output.names for output in graph.outputs)
    recheck = rules[0].recheck
    logits, embeddings = np.empty(len(rows), np.float32), []
    second = np.full(len(rows), np.nan, np.float32)
    with ThreadPoolExecutor(2) as threads:
        for start in range(0, len(rows), _BATCH):
            loaded = threads.map(
                lambda row: preprocess(row.path.read_bytes(), spec), rows[start : start + _BATCH]
            )
            photos = np.stack(list(loaded))
            found = graph([photos])
            first = np.array(found["logits"], np.float32)
            logits[start : start + len(first)] = first
            if embeds:
                embeddings.append(np.array(found["embedding"], np.float16))
            asked = np.any([rule.asks(first.astype(np.float64)) for rule in rules], axis=0)
            if recheck is not None and asked.any():
                again = np.stack([reencode(each, recheck.jpeg_quality) for each in photos[asked]])
                second[start + np.flatnonzero(asked)] = graph([again])["logits"]
    return _Judged(logits, second, np.concatenate(embeddings) if embeds else None)


def _table(rows: list[Row], judged: _Judged) -> EvaluationPhotos:
    contents = [row.path.read_bytes() for row in rows]
    headers = [read_header(content) for content in contents]
    return EvaluationPhotos(
        logit=judged.logit,
        second_logit=judged.second_logit,
        label=np.array([row.label for row in rows], np.uint8),
        split=_words(row.split for row in rows),
        source=_words(row.family for row in rows),
        format=_words(header.format for header in headers),
        encoder_quality=np.array([_quality(content) for content in contents], np.int16),
        width=np.array([header.width for header in headers], np.int32),
        height=np.array([header.height for header in headers], np.int32),
        embedding=judged.embedding,
    )


def _words(values: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(values), np.str_)


def _quality(content: bytes) -> int:
    quality = encoder_quality(content)
    return UNKNOWN_QUALITY if quality is None else quality
