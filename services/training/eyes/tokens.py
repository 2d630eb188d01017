"""Tokens behind the trunk, computed once: what tuning of the upper blocks starts from.

For every photo and version of the training store: all tokens after the trunk, float16
`[N, V, L, D]` in `tokens.npy` (0.3 MB each), and the trunk's class tokens, float16 `[N, V, T, D]`
in `classes.npy`. A run that was stopped goes on where it ended.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op

from shared.ml.members.view_graph import view_nodes
from shared.ml.members.weights import Floats
from shared.ml.spec import Normalization

TOKENS, CLASSES, DONE = "tokens.npy", "classes.npy", "tokens_done.npy"
# OpenAI's (CLIP's) channel means and deviations.
CLIP_NORMALIZATION = Normalization(
    mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
)
_BATCH = 8


class TrunkReader:
    """The trunk compiled for the CPU in float32."""

    def __init__(self, trunk: Floats, size: int = 224) -> None:
        """`trunk` holds the patch embedding and the trunk's blocks, nothing behind them."""
        images = op.parameter([_BATCH, size, size, 3], ov.Type.u8)
        nodes = view_nodes(normalised(images, CLIP_NORMALIZATION), trunk, whole=True)
        model = ov.Model([op.result(nodes.last), op.result(nodes.tokens)], [images])
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = ov.Core().compile_model(model, "CPU", config)

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return tokens `[N, L, D]` and class tokens `[N, T, D]` of uint8 `[N, S, S, 3]`."""
        padded = np.zeros((_BATCH, *images.shape[1:]), np.uint8)
        padded[: len(images)] = images
        found = self._compiled([padded])
        return found[0][: len(images)], found[1][: len(images)]


def normalised(images: Any, normalization: Normalization) -> Any:
    """Return float32 `[N, 3, S, S]` behind a graph's input uint8 `[N, S, S, 3]`."""
    mean, std = (np.array(each, np.float32) for each in (normalization.mean, normalization.std))
    scaled = op.multiply(op.convert(images, "f32"), op.constant(1 / (255 * std)))
    return op.transpose(
        op.add(scaled, op.constant(-mean / std)), op.constant(np.array([0, 3, 1, 2]))
    )


def compute_tokens(
    stacks: NDArray[np.uint8],
    ready: NDArray[np.bool_],
    trunk: Floats,
    folder: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Compute the tokens of `stacks` uint8 `[N, V, 1 + K, S, S, 3]` where `ready` `[N, V]`.

    The first version of every photo comes first: training can start on it.
    """
    count, versions = stacks.shape[:2]
    length, width = trunk["pos_embed"].size // trunk["cls_token"].size, trunk["cls_token"].size
    blocks = 1 + max(int(key.split(".")[1]) for key in trunk if key.startswith("blocks."))
    shapes = {
        folder / TOKENS: (count, versions, length, width),
        folder / CLASSES: (count, versions, blocks, width),
    }
    forget_unless(shapes, folder / DONE)
    tokens, classes = (memmap(path, np.float16, shape) for path, shape in shapes.items())
    done = memmap(folder / DONE, np.bool_, (count, versions))
    reader, started, made = TrunkReader(trunk, stacks.shape[3]), time.monotonic(), 0
    for version in range(versions):
        todo = np.flatnonzero(ready[:, version] & ~done[:, version])
        for start in range(0, len(todo), _BATCH):
            rows = todo[start : start + _BATCH]
            found, first = reader(stacks[rows, version, 0])
            tokens[rows, version], classes[rows, version] = found, first
            done[rows, version] = True
            made += len(rows)
            if start % (64 * _BATCH) == 0:
                rate = made / (time.monotonic() - started)
                say(f"version {version}: {start + len(rows)} of {len(todo)}, {rate:.1f} photos/s")


def forget_unless(shapes: Mapping[Path, tuple[int, ...]], done: Path) -> None:
    """Remove `done` unless the arrays that it speaks of are there in these shapes."""
    for path, shape in shapes.items():
        if not path.exists() or np.load(path, mmap_mode="r").shape != shape:
            done.unlink(missing_ok=True)


def memmap(path: Path, kind: type[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Open an array on disk, or make one; one of another shape is made anew."""
    if path.exists():
        found = np.lib.format.open_memmap(path, "r+")
        if found.shape == shape:
            return found
    return np.lib.format.open_memmap(path, "w+", kind, shape)
