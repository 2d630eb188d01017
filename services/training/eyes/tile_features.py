"""Statistics of every tile, computed once: what the tiles' head is fitted on.

Float16 `[N, V, K, F]` in a file of the training store: means and deviations of the first stages of
an EfficientNet over each tile (see `shared.ml.statistics`). A run that was stopped goes on.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op

from services.training.eyes.tokens import forget_unless, memmap, normalised
from shared.ml.members.tiles_graph import statistics_node
from shared.ml.members.weights import Floats
from shared.ml.spec import Normalization

# TensorFlow's EfficientNet-Lite networks were trained so.
LITE_NORMALIZATION = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class TileReader:
    """The tiles' stages compiled for the CPU in float32."""

    def __init__(self, weights: Floats, batch: int, size: int = 224) -> None:
        images = op.parameter([batch, size, size, 3], ov.Type.u8)
        node = statistics_node(normalised(images, LITE_NORMALIZATION), weights)
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        model = ov.Model([op.result(node)], [images])
        self._compiled = ov.Core().compile_model(model, "CPU", config)

    def __call__(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return statistics `[N, F]` of uint8 tiles `[N, S, S, 3]`, N the batch."""
        return np.array(self._compiled([tiles])[0], np.float32)


def compute_statistics(
    stacks: NDArray[np.uint8],
    ready: NDArray[np.bool_],
    weights: Floats,
    path: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Write the statistics of the tiles of `stacks` uint8 `[N, V, 1 + K, S, S, 3]` to `path`.

    `ready` bool `[N, V]` says of which looks.
    """
    count, versions, images = stacks.shape[:3]
    tiles = images - 1
    reader = TileReader(weights, tiles, stacks.shape[3])
    width = reader(np.zeros((tiles, *stacks.shape[3:]), np.uint8)).shape[1]
    shape = (count, versions, tiles, width)
    forget_unless({path: shape}, path.with_suffix(".done.npy"))
    found: NDArray[Any] = memmap(path, np.float16, shape)
    done = memmap(path.with_suffix(".done.npy"), np.bool_, (count, versions))
    started, made = time.monotonic(), 0
    for version in range(versions):
        for row in np.flatnonzero(ready[:, version] & ~done[:, version]):
            found[row, version] = reader(np.ascontiguousarray(stacks[row, version, 1:]))
            done[row, version] = True
            made += 1
            if made % 512 == 0:
                say(f"{made} looks, {made * tiles / (time.monotonic() - started):.0f} tiles/s")
