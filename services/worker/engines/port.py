"""The engine port."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Logits = NDArray[np.float32]
Evidence = NDArray[np.float32]
Embeddings = NDArray[np.float32]


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
    # Images of one forward pass at most.
    batch_size: int

    def predict(self, images: Images) -> Predictions:
        """Return what it finds, in order, in uint8 RGB [N, H, W, 3]; N is ≤ `batch_size`."""

    def explain(self, image: Images) -> tuple[float, Evidence] | None:
        """Return the logit of one photo uint8 `[H, W, 3]` and its evidence float32 `[h, w]`.

        See `shared.ml.network.Detector.explained`. None for a package without that output.
        """
