"""The engine port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.core.errors import DetectorError
from shared.ml.errors import PackageError
from shared.ml.package import ModelPackage
from shared.ml.precision import NoPrecisionError, Precision, choose

Images = NDArray[np.uint8]
Logits = NDArray[np.float32]
Evidence = NDArray[np.float32]
Embeddings = NDArray[np.float32]


class NoEngineError(DetectorError):
    """No runtime for the model is installed, or not what was asked for, or not on this machine."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a forward pass says of N photos.

    `logits` is float32 [N]; `embeddings` is float32 [N, D], None for a package without that output
    (see `shared.ml.spec.EmbeddingSpec`).
    """

    logits: Logits
    embeddings: Embeddings | None


class Engine(Protocol):
    """A loaded network. Called from one thread at a time."""

    # Shown in logs and metrics, for example "openvino-cpu-f32".
    name: str
    # What it computes in, one of the package's own.
    precision: Precision
    # Images of one forward pass at most.
    batch_size: int

    def predict(self, images: Images) -> Predictions:
        """Return what it finds, in order, in uint8 RGB [N, H, W, 3]; N is ≤ `batch_size`."""

    def explain(self, image: Images) -> tuple[float, Evidence] | None:
        """Return the logit of one photo uint8 `[H, W, 3]` and its evidence float32 `[h, w]`.

        See `shared.ml.network.Detector.explained`. None for a package without that output.
        """


def chosen_precision(
    package: ModelPackage, supported: Sequence[Precision], wanted: Precision | None
) -> Precision:
    """Return what an engine that has `supported` here computes in; see `precision.choose`.

    Raises PackageError when the package does not list `wanted`, NoEngineError when the engine or
    the processor lacks it. Both say what to set.
    """
    try:
        return choose(package.manifest.precisions, supported, wanted)
    except NoPrecisionError as error:
        message = (
            f"model {package.manifest.version}: {error}. Set DETECTOR_WORKER_PRECISION to a"
            " precision of both, or to auto"
        )
        if not error.listed:
            raise PackageError(f"{message}.") from error
        raise NoEngineError(
            f"{message}; where there is none, set DETECTOR_MODEL_DIR to another package."
        ) from error
