"""Reading a model package: one directory is one version, and its files are what was evaluated."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from shared.ml.errors import PackageError
from shared.ml.spec import MANIFEST_NAME, FileEntry, ModelManifest, PackageFiles

# Beside the directory of a package, or in it: the trunks that releases share.
TRUNKS = "trunks"


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """One network twice: weights for torch, and the graph with them for OpenVINO."""

    weights: Path
    openvino_xml: Path
    openvino_bin: Path


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """A verified package: the manifest and the absolute paths of its files."""

    directory: Path
    manifest: ModelManifest
    evaluation: Path
    # None in packages made before it.
    evaluation_photos: Path | None = None
    # A package of one network; None in one of members.
    network: NetworkFiles | None = None
    # A package of members: each member's weights by its name, and the trunk's.
    members: Mapping[str, Path] = field(default_factory=dict)
    trunk: Path | None = None

    @property
    def weights(self) -> Path:
        """The weights of a package of one network; PackageError for one of members."""
        return self._files.weights

    @property
    def openvino_xml(self) -> Path:
        """The graph of a package of one network; PackageError for one of members."""
        return self._files.openvino_xml

    @property
    def openvino_bin(self) -> Path:
        """The weights of that graph; PackageError for a package of members."""
        return self._files.openvino_bin

    @property
    def _files(self) -> NetworkFiles:
        if self.network is None:
            raise PackageError(f"model {self.manifest.version} is a package of members")
        return self.network


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify_file(path: Path, entry: FileEntry) -> None:
    """Check that `path` has the size and the SHA-256 of `entry`, whatever its name.

    Raises PackageError that names the file and says how it differs.
    """
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


def load_package(directory: Path | str, trunks: Path | None = None) -> ModelPackage:
    """Load a package and check size and SHA-256 of each of its files.

    `trunks` is the folder of shared trunks; without it they are looked for in the package's own
    `trunks` folder and in the one beside it.

    Raises PackageError that names the file when one is missing or is not the one that was packaged.
    """
    directory = Path(directory).resolve()
    manifest = read_manifest(directory)
    files, photos = manifest.files, manifest.files.evaluation_photos
    return ModelPackage(
        directory=directory,
        manifest=manifest,
        evaluation=_verified(directory, files.evaluation),
        evaluation_photos=_verified(directory, photos) if photos else None,
        network=_network(directory, files),
        members={each.name: _verified(directory, each.weights) for each in manifest.members},
        trunk=_trunk(directory, manifest, trunks),
    )


def _network(directory: Path, files: PackageFiles) -> NetworkFiles | None:
    if files.weights is None or files.openvino_xml is None or files.openvino_bin is None:
        return None
    return NetworkFiles(
        weights=_verified(directory, files.weights),
        openvino_xml=_verified(directory, files.openvino_xml),
        openvino_bin=_verified(directory, files.openvino_bin),
    )


def _trunk(directory: Path, manifest: ModelManifest, trunks: Path | None) -> Path | None:
    if manifest.trunk is None:
        return None
    entry = manifest.trunk.file
    folders = [trunks] if trunks else [directory / TRUNKS, directory.parent / TRUNKS]
    for folder in folders:
        if (folder / entry.name).is_file():
            return _verified(folder, entry)
    looked = " and ".join(str(folder) for folder in folders)
    raise PackageError(
        f"model {manifest.version} needs the trunk {entry.name}, which is not in {looked}:"
        " copy it there from where the package came from"
    )


def _verified(directory: Path, entry: FileEntry) -> Path:
    path = directory / entry.name
    verify_file(path, entry)
    return path
