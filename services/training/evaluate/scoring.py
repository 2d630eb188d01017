"""Logits of photos, by the serving preprocess, from any engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.photos import Row
from services.training.evaluate.tiers import TIERS
from shared.ml.preprocess import UInt8Array, preprocess
from shared.ml.recheck import reencode
from shared.ml.spec import PreprocessSpec

FloatArray = NDArray[np.float64]
# uint8 [N, H, W, 3] -> float logits [N]
Predictor = Callable[[UInt8Array], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Looks:
    """Logits of one tier, float64 `[N]`: as it came, and after a re-encode (NaN: not looked)."""

    first: FloatArray
    second: FloatArray


# Which photos of a batch get a second look, bool `[N]`, by their first logits `[N]`.
Asks = Callable[[FloatArray], NDArray[np.bool_]]


def score(
    rows: Sequence[Row], tier: str, predictor: Predictor, spec: PreprocessSpec, batch_size: int
) -> FloatArray:
    """Return the logits of `rows`, float64 `[N]`, each photo passed through `tier` first."""
    return look(rows, tier, predictor, spec, batch_size, None, 75).first


def look(
    rows: Sequence[Row],
    tier: str,
    predictor: Predictor,
    spec: PreprocessSpec,
    batch_size: int,
    asks: Asks | None,
    jpeg_quality: int,
) -> Looks:
    """Return both looks at `rows` as a worker takes them; `asks` None takes only the first."""

    def load(row: Row) -> UInt8Array:
        return preprocess(TIERS[tier](row.path.read_bytes()), spec)

    first = np.empty(len(rows), dtype=np.float64)
    second = np.full(len(rows), np.nan)
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(rows), batch_size):
            batch = np.stack(list(pool.map(load, rows[start : start + batch_size])))
            batched = slice(start, start + len(batch))
            first[batched] = predictor(batch)
            asked = np.flatnonzero(asks(first[batched])) if asks else np.array([], dtype=int)
            if len(asked):
                again = np.stack([reencode(batch[index], jpeg_quality) for index in asked])
                second[start + asked] = predictor(again)
    return Looks(first, second)


def labels_of(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Return the labels, int64 `[N]`, 1 for AI-generated."""
    return np.array([row.label for row in rows], dtype=np.int64)
