"""What the photos show, so that it cannot be the clue.

A training set has plates of food that are nearly all real and jewellery that is nearly all
generated; a network that learns this calls every plate real. Photos are grouped by what an
ImageNet network sees in them, and drawn so that within a group both classes weigh the same. It is
the reweighting of group-balanced learning (Idrissi et al. 2022, arXiv 2110.14503), with groups
found instead of named.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from services.training.data.photos import Row, fingerprint
from services.training.errors import TrainingError
from shared.ml.network import Detector, build_backbone
from shared.ml.preprocess import preprocess
from shared.ml.spec import Normalization, PreprocessSpec

CACHE = "content.npz"
# What ImageNet networks are trained at.
_SIZE = 224
_BATCH = 16
# Dimensions that the clusters are formed in; the rest is mostly noise.
_DIMENSIONS = 64

Groups = NDArray[np.int64]


def content_groups(
    rows: Sequence[Row],
    count: int,
    seed: int,
    architecture: str,
    base_weights: Path,
    normalization: Normalization,
    directory: Path,
) -> Groups:
    """Return the content group of each row, int64 `[N]` in 0..count-1.

    The groups are kept in `directory` and taken from there for the same rows and settings.

    Raises TrainingError when there are fewer photos than groups.
    """
    if len(rows) < count:
        raise TrainingError(f"{len(rows)} photos cannot form {count} content groups")
    key = f"{fingerprint(rows)} {count} {seed} {architecture} {base_weights.name}"
    path = directory / CACHE
    if path.is_file():
        kept = np.load(path)
        if str(kept["key"]) == key:
            return np.asarray(kept["groups"], dtype=np.int64)
    features = _features(rows, architecture, base_weights, normalization)
    groups = clustered(features, count, seed)
    np.savez(path, key=np.array(key), groups=groups)
    return groups


def clustered(features: NDArray[np.float32], count: int, seed: int) -> Groups:
    """Return the k-means group of each row of `features` `[N, D]`, by direction, int64 `[N]`."""
    scaled = (features - features.mean(0)) / (features.std(0) + 1e-3)
    dimensions = min(_DIMENSIONS, *scaled.shape)
    reduced = PCA(dimensions, random_state=seed).fit_transform(scaled)
    reduced /= np.linalg.norm(reduced, axis=1, keepdims=True) + 1e-9
    found = KMeans(count, n_init=2, random_state=seed).fit_predict(reduced)
    return np.asarray(found, dtype=np.int64)


def balanced(
    weights: NDArray[np.float64], labels: NDArray[np.int64], groups: Groups
) -> NDArray[np.float64]:
    """Return sampling weights float64 `[N]` under which content says nothing of the label.

    In each group both classes get the geometric mean of what they had: a group with much of both
    keeps its share, one with a single class gets none. Both classes sum to one half.

    Raises TrainingError when no group has both classes.
    """
    result = weights.copy()
    for group in np.unique(groups):
        masks = [(groups == group) & (labels == label) for label in (0, 1)]
        shares = [float(weights[mask].sum()) for mask in masks]
        common = float(np.sqrt(shares[0] * shares[1]))
        for mask, share in zip(masks, shares, strict=True):
            if share > 0:
                result[mask] *= common / share
    for label in (0, 1):
        total = float(result[labels == label].sum())
        if total <= 0:
            raise TrainingError("no content group has both classes: take fewer groups")
        result[labels == label] *= 0.5 / total
    return result


def _features(
    rows: Sequence[Row], architecture: str, base_weights: Path, normalization: Normalization
) -> NDArray[np.float32]:
    """Return the pooled features behind the base network's last convolution, `[N, D]`."""
    backbone = build_backbone(architecture, base_weights=base_weights)
    detector = Detector(backbone, normalization).eval()
    spec = PreprocessSpec(resize_short=_SIZE, height=_SIZE, width=_SIZE)
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            photos = [preprocess(r.path.read_bytes(), spec) for r in rows[start : start + _BATCH]]
            found.append(detector.features(torch.from_numpy(np.stack(photos))).numpy())
    return np.concatenate(found)
