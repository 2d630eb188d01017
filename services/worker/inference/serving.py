"""The model that serves, and how another takes its place without losing an image."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from services.worker.engines.port import Engine
from services.worker.inference.pipeline import InferencePipeline, Outcome
from services.worker.metrics import MODEL
from shared.core.errors import DetectorError
from shared.db.jobs.leases import LeasedImage
from shared.db.jobs.reuse import ReuseKey
from shared.ml.heatmap import Heatmap
from shared.ml.package import ModelPackage


class OtherModelError(DetectorError):
    """The model that serves is not the one asked for."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A warm model with the pipeline around it. `digest` is that of the package directory."""

    package: ModelPackage
    digest: str
    engine: Engine
    pipeline: InferencePipeline

    @property
    def version(self) -> str:
        """The package's own version, which its verdicts name."""
        return self.package.manifest.version


# Loads and warms up the package of a digest; raises what makes it unfit to serve.
Loader = Callable[[ModelPackage, str], LoadedModel]


@dataclass(slots=True)
class _Slot:
    model: LoadedModel
    users: int = 0


class ModelServer:
    """Judges chunks with the current model.

    A chunk keeps the model that it began with: preprocess, forward passes, second looks, thresholds
    and the version in its verdicts always belong together. Batches hold images of one model only,
    because each model has a batcher of its own.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._slot = _Slot(model)
        self._changed = threading.Condition()
        _show(model, None)

    @property
    def current(self) -> LoadedModel:
        """The model that the next chunk will be judged with."""
        return self._slot.model

    @property
    def reuse_key(self) -> ReuseKey:
        """What verdicts of the current model rest on."""
        model = self.current
        return ReuseKey(model.version, model.pipeline.judged_with)

    def run(self, images: Sequence[LeasedImage]) -> Iterator[Outcome]:
        """See `InferencePipeline.run`; all of `images` are judged by one model."""
        with self._using() as model:
            yield from model.pipeline.run(images)

    def explain(self, data: bytes, version: str) -> Heatmap:
        """Return the heatmap of an encoded photo by the model `version`.

        Raises OtherModelError when another one serves, and as
        `services.worker.inference.explain.explain`.
        """
        with self._using() as model:
            if model.version != version:
                raise OtherModelError(
                    f"the photo was judged by model {version}, and the workers serve"
                    f" {model.version} now"
                )
            return model.pipeline.explain(data)

    def swap(self, model: LoadedModel) -> None:
        """Judge with `model` from now on; returns when the old one has ended its last chunk."""
        with self._changed:
            old, self._slot = self._slot, _Slot(model)
            _show(model, old.model)
            self._changed.wait_for(lambda: old.users == 0)
        old.model.pipeline.close()

    def close(self) -> None:
        """Finish what is under way and end the threads."""
        self.current.pipeline.close()

    @contextmanager
    def _using(self) -> Iterator[LoadedModel]:
        with self._changed:
            slot = self._slot
            slot.users += 1
        try:
            yield slot.model
        finally:
            with self._changed:
                slot.users -= 1
                self._changed.notify_all()


def _show(model: LoadedModel, old: LoadedModel | None) -> None:
    """Name the served model in /metrics, and no other."""
    labels = model.version, model.engine.name
    MODEL.labels(*labels).set(1)
    if old is not None and (old.version, old.engine.name) != labels:
        MODEL.remove(old.version, old.engine.name)
