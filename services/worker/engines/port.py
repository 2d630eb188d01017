"""The engine port."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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
    (see `shared.ml.spec.EmbeddingSpec`). Of a package of members alone: `view` and `tiles`, their
    own logits float32 [N], and `tiles_seen`, bool [N]: where it is False the tiles could not change
    the verdict and were not looked at, and `tiles` is NaN.
    """

    logits: Logits
    embeddings: Embeddings | None
    view: Logits | None = None
    tiles: Logits | None = None
    tiles_seen: NDArray[np.bool_] | None = None


class Explained(NamedTuple):
    """Why one photo got its logit.

    `maps` float32 `[h, w]`, in the order of the input's images: one for a package of one network;
    of members the view's and then the tiles', which are absent where they were not looked at. The
    sum of the maps' means plus a constant is the logit.
    """

    logit: float
    maps: tuple[Evidence, ...]


class Engine(Protocol):
    """A loaded network. Called from one thread at a time."""

    # Shown in logs and metrics, for example "openvino-cpu-f32".
    name: str
    # What it computes in, one of the package's own; of members the coarsest.
    precision: Precision
    # Of each member by its name; empty for a package of one network.
    precisions: dict[str, Precision]
    # Images of one forward pass at most.
    batch_size: int

    def predict(self, images: Images) -> Predictions:
        """Return what it finds, in order, in N ≤ `batch_size` photos as `preprocess` makes them.

        uint8 RGB [N, H, W, 3], or [N, 1 + K, S, S, 3] for a package of members.
        """

    def explain(self, image: Images) -> Explained | None:
        """Return the logit of one photo, as in `predict`, and its evidence.

        None for a package without that output.
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
        raise no_precision(package, error) from error


def no_precision(package: ModelPackage, error: NoPrecisionError) -> PackageError | NoEngineError:
    """Return the error to raise for one of `precision.choose`, which says what to set."""
    message = (
        f"model {package.manifest.version}: {error}. Set DETECTOR_WORKER_PRECISION to a"
        " precision of both, or to auto"
    )
    if not error.listed:
        return PackageError(f"{message}.")
    return NoEngineError(
        f"{message}; where there is none, set DETECTOR_MODEL_DIR to another package."
    )
