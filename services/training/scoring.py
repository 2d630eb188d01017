"""Logits of photos, by the serving preprocess, from any engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from services.training.data import Row
from services.training.tiers import TIERS
from shared.ml.preprocess import UInt8Array, preprocess
from shared.ml.spec import PreprocessSpec

FloatArray = NDArray[np.float64]
# uint8 [N, H, W, 3] -> float logits [N]
Predictor = Callable[[UInt8Array], NDArray[np.float32]]


def score(
    rows: Sequence[Row], tier: str, predictor: Predictor, spec: PreprocessSpec, batch_size: int
) -> FloatArray:
    """Return the logits of `rows`, float64 `[N]`, each photo passed through `tier` first."""

    def load(row: Row) -> UInt8Array:
        return preprocess(TIERS[tier](row.path.read_bytes()), spec)

    logits = np.empty(len(rows), dtype=np.float64)
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(rows), batch_size):
            batch = np.stack(list(pool.map(load, rows[start : start + batch_size])))
            logits[start : start + len(batch)] = predictor(batch)
    return logits


def labels_of(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Return the labels, int64 `[N]`, 1 for AI-generated."""
    return np.array([row.label for row in rows], dtype=np.int64)
