"""Packages in MLflow's model registry: register, resolve, download, promote."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from shared.core.ids import new_id
from shared.ml.errors import PackageError
from shared.ml.members.trunks import TrunkStore
from shared.ml.package import TRUNKS, ModelPackage, load_package, read_manifest
from shared.ml.spec import ModelManifest
from shared.registry import trunks
from shared.registry.digest import package_digest, package_files
from shared.registry.errors import PackageDamaged, VersionMissing
from shared.registry.mlflow_client import open_client, sqlite_path, told
from shared.registry.records import (
    METRIC,
    TAG_ARCHITECTURE,
    TAG_DATA,
    TAG_DIGEST,
    TAG_GIT,
    TAG_PACKAGE,
    TAG_TRUNK,
    ModelVersion,
    Promotion,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

_HISTORY = "promotion."
_MAX_VERSIONS = 1000


class ModelRegistry:
    """The versions of one registered model. Every method raises RegistryError when it cannot."""

    def __init__(self, uri: str, name: str) -> None:
        """`uri` as in RegistrySettings; nothing is opened before the first call."""
        self.uri = uri
        self.name = name
        self._client: MlflowClient | None = None

    def versions(self) -> list[ModelVersion]:
        """Return all versions, newest first."""
        query = f"name='{self.name}'"
        with self._asking("listing the model versions") as client:
            found = client.search_model_versions(query, max_results=_MAX_VERSIONS)
        aliases = self.aliases()
        versions = [_version(item, aliases) for item in found]
        return sorted(versions, key=lambda version: version.number, reverse=True)

    def version(self, number: int) -> ModelVersion:
        """Return one version; VersionMissing when there is none of this number."""
        with self._asking(f"reading version {number} of {self.name}") as client:
            found = client.get_model_version(self.name, str(number))
        return _version(found, self.aliases())

    def aliases(self) -> dict[str, int]:
        """Return {alias: version number}; empty when nothing is registered."""
        try:
            with self._asking(f"reading the aliases of {self.name}") as client:
                aliases = client.get_registered_model(self.name).aliases
        except VersionMissing:
            return {}
        return {alias: int(number) for alias, number in aliases.items()}

    def resolve(self, alias: str) -> ModelVersion | None:
        """Return the version that `alias` points at."""
        number = self.aliases().get(alias)
        return None if number is None else self.version(number)

    def register(self, directory: Path, run_id: str | None = None) -> ModelVersion:
        """Upload a package directory and return its version; the same bytes are stored once.

        A trunk is uploaded apart from it, unless the registry holds it already.
        With `run_id` the package becomes an artifact of that run, else of a run of its own.
        Raises PackageError when the directory is no sound package.
        """
        package, digest = load_package(directory), package_digest(directory)
        manifest = package.manifest
        artifact_path = f"package/{digest[:12]}"
        with self._asking(f"registering {directory}", create=True) as client:
            self._hold_trunk(client, package)
            for known in self.versions():
                if known.digest == digest:
                    return known
            run = run_id or self._own_run(client, f"register {manifest.version}")
            for path in package_files(directory):
                folder = PurePosixPath(artifact_path, path.parent.relative_to(directory))
                client.log_artifact(run, str(path), str(folder))
            if run_id is None:
                client.set_terminated(run)
            self._ensure_model(client)
            created = client.create_model_version(
                self.name, f"runs:/{run}/{artifact_path}", run, tags=version_tags(manifest, digest)
            )
        return _version(created, self.aliases())

    def fetch(self, version: ModelVersion, cache: Path) -> Path:
        """Return a directory below `cache` with the version's package, downloading it if needed.

        Its trunk, if it has one, lies in `trunks` beside it, and is downloaded only when it is not
        there yet. Raises PackageDamaged when something is not what was registered, TrunkMissing.
        Several processes may share a cache: package and trunk appear there complete or not at all,
        and a package after its trunk.
        """
        if not version.digest:
            raise PackageDamaged(f"version {version.number} has no digest: `register` writes one")
        target = cache / f"{version.number}-{version.digest[:16]}"
        if target.is_dir():
            if package_digest(target) == version.digest:
                self._bring_trunk(target, cache)
                return target
            shutil.rmtree(target)
        cache.mkdir(parents=True, exist_ok=True)
        with _download_folder(cache) as folder:
            with self._asking(f"downloading version {version.number}") as client:
                path = client.download_artifacts(version.run_id, version.artifact_path, str(folder))
            found = Path(path)
            if package_digest(found) != version.digest:
                raise PackageDamaged(
                    f"version {version.number} was registered with SHA-256 {version.digest}, but"
                    f" the download has {package_digest(found)}"
                )
            self._bring_trunk(found, cache)
            try:
                found.rename(target)
            except OSError:
                # Another process was faster; what it put there was checked the same way.
                if not target.is_dir():
                    raise
        return target

    def set_alias(self, alias: str, number: int) -> None:
        """Point `alias` at a version."""
        with self._asking(f"setting the alias {alias}") as client:
            client.set_registered_model_alias(self.name, alias, str(number))

    def delete_alias(self, alias: str) -> None:
        """Remove `alias`; no error when there is none."""
        with self._asking(f"deleting the alias {alias}") as client:
            client.delete_registered_model_alias(self.name, alias)

    def history(self) -> list[Promotion]:
        """Return every promotion and rollback, oldest first."""
        try:
            with self._asking("reading the promotion history") as client:
                tags: Mapping[str, str] = client.get_registered_model(self.name).tags
        except VersionMissing:
            return []
        keys = sorted(key for key in tags if key.startswith(_HISTORY))
        return [Promotion.model_validate_json(tags[key]) for key in keys]

    def record(self, promotion: Promotion) -> None:
        """Append to the history; keys are UUIDv7, so their order is that of time."""
        with self._asking("writing the promotion history") as client:
            client.set_registered_model_tag(
                self.name, f"{_HISTORY}{new_id()}", promotion.model_dump_json()
            )

    @contextmanager
    def _asking(self, what: str, *, create: bool = False) -> Iterator["MlflowClient"]:
        """Yield the client; `what` begins the message of an error inside the block."""
        if self._client is None:
            self._client = open_client(self.uri, create=create)
        with told(what):
            yield self._client

    def _ensure_model(self, client: "MlflowClient") -> None:
        try:
            with told(f"looking for {self.name}"):
                client.get_registered_model(self.name)
        except VersionMissing:
            client.create_registered_model(self.name)

    def _own_run(self, client: "MlflowClient", run_name: str) -> str:
        experiment = ensure_experiment(client, self.uri, self.name)
        return str(client.create_run(experiment, run_name=run_name).info.run_id)

    def _hold_trunk(self, client: "MlflowClient", package: ModelPackage) -> None:
        """Upload the package's trunk unless it is there."""
        trunk = package.manifest.trunk
        if trunk is None or package.trunk is None:
            return
        entry = trunk.file
        if trunks.holder(client, self.name, entry) is None:
            self._ensure_model(client)
            run = self._own_run(client, f"trunk {entry.sha256[:12]}")
            trunks.upload(client, self.name, run, package.trunk, entry)

    def _bring_trunk(self, package: Path, cache: Path) -> None:
        """See to it that the trunk of a package is in the cache, downloading it if it is not."""
        trunk = read_manifest(package).trunk
        if trunk is None:
            return
        entry, store = trunk.file, TrunkStore(cache / TRUNKS)
        try:
            known = store.find(entry)
        except PackageError:  # altered: another is put in its place
            known = None
        if known:
            os.utime(known)  # see TrunkStore.prune: a package that needs it is on its way
            return
        with _download_folder(cache) as folder:
            with self._asking(f"downloading the trunk {entry.name}") as client:
                found = trunks.download(client, self.name, entry, folder)
            try:
                store.put(found, entry)
            except PackageError as error:
                raise PackageDamaged(f"what the registry holds is damaged: {error}") from error


@contextmanager
def _download_folder(cache: Path) -> Iterator[Path]:
    """Yield a folder below `cache`; one of a killed process is deleted later, by its prefix."""
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as name:
        yield Path(name)


def _version(found: Any, aliases: Mapping[str, int]) -> ModelVersion:
    tags, number = found.tags, int(found.version)
    source = str(found.source).removeprefix(f"runs:/{found.run_id}/")
    return ModelVersion(
        number=number,
        package_version=tags.get(TAG_PACKAGE, ""),
        digest=tags.get(TAG_DIGEST, ""),
        architecture=tags.get(TAG_ARCHITECTURE, ""),
        data_fingerprint=tags.get(TAG_DATA, ""),
        git_revision=tags.get(TAG_GIT, ""),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        run_id=found.run_id or "",
        artifact_path=source,
        aliases=tuple(sorted(alias for alias, at in aliases.items() if at == number)),
        trunk=tags.get(TAG_TRUNK),
        metrics={
            key.removeprefix(METRIC): float(value)
            for key, value in tags.items()
            if key.startswith(METRIC)
        },
    )


def version_tags(manifest: ModelManifest, digest: str) -> dict[str, str]:
    """Return the tags of a version: what it is, and the AUC and recall of every tier."""
    shown = ("auc", "recall_at_5pct_fpr", "false_accusation_rate", "ece")
    return {
        TAG_PACKAGE: manifest.version,
        TAG_DIGEST: digest,
        TAG_ARCHITECTURE: manifest.architecture,
        TAG_DATA: manifest.training.data_fingerprint,
        TAG_GIT: manifest.training.git_revision or "",
        **({TAG_TRUNK: manifest.trunk.file.sha256} if manifest.trunk else {}),
        **{
            f"{METRIC}{name}": f"{value:.6g}"
            for name, value in manifest.metrics.items()
            if name.rpartition(".")[2] in shown
        },
    }


def ensure_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """Return the id of the experiment `name`, making it when new."""
    with told(f"opening the experiment {name}"):
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        path = sqlite_path(uri)
        # Without a server MLflow would put artifacts below the directory it happens to run in.
        location = (path.parent / "artifacts").as_uri() if path else None
        return str(client.create_experiment(name, artifact_location=location))
