"""Reading a model package: one directory is one version, and its files are what was evaluated."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.ml.errors import PackageError
from shared.ml.spec import MANIFEST_NAME, FileEntry, ModelManifest


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A verified package: the manifest and the absolute paths of its files."""

    directory: Path
    manifest: ModelManifest
    weights: Path
    openvino_xml: Path
    openvino_bin: Path
    evaluation: Path
    # None in packages made before it.
    evaluation_photos: Path | None = None


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest(directory: Path) -> ModelManifest:
    """Read and check `model.json` of a package directory, without touching its other files.

    Raises PackageError when the directory or the file is missing or has the wrong form.
    """
    path = directory / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PackageError(
            f"no model package at {directory}: {MANIFEST_NAME} cannot be read ({error.strerror})."
            " Set DETECTOR_MODEL_DIR to a package directory, or make one with `make train`."
        ) from error
    try:
        return ModelManifest.model_validate_json(content)
    except ValidationError as error:
        raise PackageError(f"{path} is not a valid model manifest: {error}") from error


def load_package(directory: Path | str) -> ModelPackage:
    """Load a package and check size and SHA-256 of each of its files.

    Raises PackageError that names the file when one is missing or is not the one that was packaged.
    """
    directory = Path(directory).resolve()
    manifest = read_manifest(directory)
    files = manifest.files
    photos = files.evaluation_photos
    return ModelPackage(
        directory=directory,
        manifest=manifest,
        weights=_verified(directory, files.weights),
        openvino_xml=_verified(directory, files.openvino_xml),
        openvino_bin=_verified(directory, files.openvino_bin),
        evaluation=_verified(directory, files.evaluation),
        evaluation_photos=_verified(directory, photos) if photos else None,
    )


def _verified(directory: Path, entry: FileEntry) -> Path:
    path = directory / entry.name
    try:
        size = path.stat().st_size
        digest = sha256_file(path) if size == entry.size_bytes else None
    except OSError as error:
        raise PackageError(f"model package file {path} cannot be read: {error}") from error
    if digest is None:
        raise PackageError(
            f"model package file {path} has {size} bytes, not the {entry.size_bytes} packaged"
        )
    if digest != entry.sha256:
        raise PackageError(
            f"model package file {path} was altered: SHA-256 {digest}, packaged {entry.sha256}"
        )
    return path
