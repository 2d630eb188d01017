"""Follows an alias of the model registry: fetch, check, load, warm up, swap."""

import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from services.worker.inference.serving import LoadedModel, Loader, ModelServer
from services.worker.metrics import MODEL_SWAPS, REGISTRY_UP
from shared.core.logging import get_logger
from shared.ml.errors import PackageError
from shared.ml.members.trunks import TrunkStore
from shared.ml.package import TRUNKS, load_package, read_manifest
from shared.registry.digest import package_digest
from shared.registry.errors import RegistryError
from shared.registry.records import ModelVersion
from shared.registry.registry import ModelRegistry

log = get_logger(__name__)

# Versions kept on disk: the one that serves and the one before it, for a rollback.
_KEPT = 2
_ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where versions come from: the alias, and the directory that keeps downloads."""

    registry: ModelRegistry
    alias: str
    cache: Path

    @property
    def _remembered(self) -> Path:
        return self.cache / f"{self.registry.name}@{self.alias}"

    def fetch(self, version: ModelVersion) -> Path:
        """Return the version's verified package directory."""
        return self.registry.fetch(version, self.cache)

    def resolve(self) -> Path | None:
        """Return the package directory of the alias's version, None when there is no such alias."""
        version = self.registry.resolve(self.alias)
        if version is None:
            return None
        directory = self.fetch(version)
        self.remember(directory)
        return directory

    def remember(self, directory: Path) -> None:
        """Note what serves, for a start while the registry is away."""
        os.utime(directory)
        temporary = self._remembered.with_suffix(f".{os.getpid()}")
        temporary.write_text(directory.name, encoding="utf-8")
        temporary.replace(self._remembered)
        prune(self.cache, directory)

    def last(self) -> Path | None:
        """Return the package that served last on this machine."""
        try:
            directory = self.cache / self._remembered.read_text(encoding="utf-8")
        except OSError:
            return None
        return directory if directory.is_dir() else None


class ModelWatch:
    """One thread that looks at the alias every `poll_seconds`.

    Whatever goes wrong, the model that serves goes on serving: a registry that is away is asked
    again, a version that cannot be loaded is refused once and left alone until the alias moves.
    """

    def __init__(
        self, source: Source, server: ModelServer, loader: Loader, poll_seconds: float
    ) -> None:
        self._source = source
        self._server = server
        self._loader = loader
        self._poll_seconds = poll_seconds
        self._refused: int | None = None
        self._was_up = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking. A download under way is abandoned with the process."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def look(self) -> None:
        """Look once, and swap when the alias points at another package."""
        try:
            version = self._source.registry.resolve(self._source.alias)
            self._tell(None)
            if version is None or version.number == self._refused:
                return
            self._refused = None
            if version.digest != self._server.current.digest:
                self._take(version, self._source.fetch(version))
        # OSError: the cache directory is full or not writable.
        except (RegistryError, OSError) as error:
            self._tell(error)

    def _take(self, version: ModelVersion, directory: Path) -> None:
        try:
            model = self._loader(load_package(directory), version.digest)
        except Exception as error:  # noqa: BLE001  # any runtime's fault must not end the old model
            self._refused = version.number
            MODEL_SWAPS.labels("refused").inc()
            log.error(  # noqa: TRY400  # the message says it all
                "model.refused",
                registry_version=version.number,
                model_version=version.package_version,
                error=f"{type(error).__name__}: {error}",
                serving=self._server.current.version,
            )
            return
        before = self._server.current.version
        self._server.swap(model)
        MODEL_SWAPS.labels("done").inc()
        log.info(
            "model.swapped",
            registry_version=version.number,
            model_version=model.version,
            before=before,
            engine=model.engine.name,
        )
        self._source.remember(directory)

    def _tell(self, error: Exception | None) -> None:
        """Log when the registry goes away and when it is back, not at every look between."""
        up = error is None
        REGISTRY_UP.set(up)
        if up != self._was_up:
            serving = self._server.current.version
            if up:
                log.info("registry.works_again", serving=serving)
            else:
                log.warning("registry.failed", error=str(error), serving=serving)
        self._was_up = up

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self.look()
            except Exception:
                # Without this thread the worker would serve on and never follow the alias again.
                log.exception("model_watch.error")


def first_model(source: Source | None, shipped: Path, loader: Loader) -> LoadedModel:
    """Return the model to start with: the alias's, else the last one served, else `shipped`.

    Raises PackageError or NoEngineError when `shipped` is needed and cannot be used.
    """
    for find in (source.resolve, source.last) if source else ():
        try:
            if directory := find():
                return _load(directory, loader)
        except (RegistryError, OSError) as error:
            log.warning("registry.failed", error=str(error))
        except Exception as error:  # noqa: BLE001  # the shipped package is there for this
            MODEL_SWAPS.labels("refused").inc()
            log.error("model.refused", error=f"{type(error).__name__}: {error}")  # noqa: TRY400
    return _load(shipped, loader)


def _load(directory: Path, loader: Loader) -> LoadedModel:
    return loader(load_package(directory), package_digest(directory))


def prune(cache: Path, served: Path) -> None:
    """Delete downloads but the newest few and their trunks; an open file outlives its name."""
    folders = (path for path in cache.iterdir() if path.is_dir() and path.name != TRUNKS)
    changed = {path: path.stat().st_mtime for path in folders}
    partial = {path for path in changed if path.name.startswith(".")}
    newest = sorted(changed.keys() - partial, key=lambda path: changed[path], reverse=True)
    # A process that was killed leaves its download behind; one under way is younger than this.
    abandoned = [path for path in partial if changed[path] < time.time() - _ABANDONED_S]
    for path in [*newest[_KEPT:], *abandoned]:
        if path != served:
            shutil.rmtree(path, ignore_errors=True)
    needed = {name for path in {served, *newest[:_KEPT]} for name in _trunk_names(path)}
    TrunkStore(cache / TRUNKS).prune(needed, _ABANDONED_S)


def _trunk_names(directory: Path) -> list[str]:
    try:
        trunk = read_manifest(directory).trunk
    except PackageError:  # another process deleted it meanwhile
        return []
    return [trunk.file.name] if trunk else []
