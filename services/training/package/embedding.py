"""The embedding of a package: whitened principal components of what its linear heads read."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.photos import Row
from services.training.errors import TrainingError
from shared.ml.preprocess import UInt8Array, preprocess
from shared.ml.spec import EmbeddingSpec, PreprocessSpec

DIM = 16
_BATCH = 16
# A component that holds a smaller share of the variance than this is noise of the arithmetic.
_LEAST_SHARE = 1e-9


# Returns what the linear heads read, float32 [N, F], of uint8 [N, H, W, 3].
Pool = Callable[[UInt8Array], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Projection:
    """An embedding is `pooled @ weight.T + bias`; and what the manifest says of it.

    `weight` float32 `[D, F]` and `bias` `[D]` hold values of float16.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    spec: EmbeddingSpec


@dataclass(frozen=True, slots=True)
class EmbeddingFit:
    """Fits a projection to a network, on photos as a worker prepares them."""

    rows: Sequence[Row]
    spec: PreprocessSpec
    # The rows' split, for the manifest.
    split: str = "validation"

    def __call__(self, pool: Pool, widths: Sequence[int]) -> Projection:
        """Return the projection for a network of `pool`; `widths` as in `whitening`.

        Raises TrainingError for less than two photos.
        """
        if len(self.rows) < 2:
            raise TrainingError("an embedding needs two photos at least to be fitted on")
        weight, bias, explained = whitening(self._pooled(pool), widths)
        spec = EmbeddingSpec(
            dim=DIM, fitted_on=self.split, photos=len(self.rows), explained_variance=explained
        )
        return Projection(weight, bias, spec)

    def _pooled(self, pool: Pool) -> NDArray[np.float32]:
        found = []
        with ThreadPoolExecutor(2) as threads:
            for start in range(0, len(self.rows), _BATCH):
                photos = threads.map(
                    lambda row: preprocess(row.path.read_bytes(), self.spec),
                    self.rows[start : start + _BATCH],
                )
                found.append(pool(np.stack(list(photos))))
        return np.concatenate(found)


def whitening(
    pooled: NDArray[np.float32], widths: Sequence[int], dim: int = DIM
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Return weight `[dim, F]`, bias `[dim]` and the share of variance that they keep.

    Args:
        pooled: features `[N, F]`.
        widths: how the F features divide into networks. Each network's are scaled to a total
            variance of 1 first, as in multiple factor analysis (Escofier & Pagès 1994), or the one
            with the larger numbers would have every component.
        dim: components. Where the photos have fewer directions, the last ones are 0 throughout.

    The embedding is the photo's coordinate along each principal component in standard deviations.
    The sign of a component is that of its largest weight, so that the same photos give the same.
    """
    features = pooled.astype(np.float64)
    mean = features.mean(0)
    centred = features - mean
    scale = np.concatenate(
        [_scale(block) for block in np.split(centred, np.cumsum(widths)[:-1], 1)]
    )
    _, singular, components = np.linalg.svd(centred * scale, full_matrices=False)
    variance = singular**2 / (len(features) - 1)
    total = float(variance.sum())
    weight = np.zeros((dim, features.shape[1]))
    kept = [i for i in range(min(dim, len(variance))) if variance[i] > _LEAST_SHARE * total]
    for index in kept:
        component = components[index]
        sign = np.sign(component[np.abs(component).argmax()])
        weight[index] = sign * component * scale / np.sqrt(variance[index])
    # Both as they will be served, which is rounded to float16; the bias takes the mean off.
    served = _rounded(weight)
    share = float(variance[kept].sum() / total) if kept else 0.0
    return served, _rounded(-(served.astype(np.float64) @ mean)), round(share, 4)


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float16).astype(np.float32)


def _scale(block: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = float(block.var(axis=0, ddof=1).sum())
    return np.full(block.shape[1], 1 / np.sqrt(variance) if variance > 0 else 0.0)
