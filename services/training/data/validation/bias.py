"""How far the class can be told from the file alone, without looking at the picture.

A detector trained on data with such clues learns the clues (Grommelt et al., arXiv 2403.17608).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from services.training.data.manifest import Record
from services.training.data.validation.inspect import Facts

_FOLDS = 5
# Trees, and photos in a leaf at least.
_TREES, _LEAF = 100, 10
_SEED = 17
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
Column = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class FileAuc:
    """AUC of a classifier that sees only file features, on source groups that it never saw."""

    # Over all held-out photos, and the range over single folds.
    auc: float
    lowest_fold: float
    highest_fold: float
    features: tuple[str, ...]


def original_features(records: Sequence[Record]) -> dict[str, NDArray[np.float64]] | None:
    """Return feature columns float64 `[N]` of the originals; None where the manifest lacks them."""
    if any(r.source_width is None or r.source_height is None for r in records):
        return None
    width = np.array([r.source_width for r in records], dtype=np.float64)
    height = np.array([r.source_height for r in records], dtype=np.float64)
    formats = {
        f"is_{name.lower()}": np.array([float(r.source_format == name) for r in records])
        for name in _FORMATS
    }
    return formats | _shape(width, height)


def stored_features(facts: Sequence[Facts]) -> dict[str, NDArray[np.float64]]:
    """Return feature columns float64 `[N]` of the files that training reads."""
    width = np.array([f.width for f in facts], dtype=np.float64)
    height = np.array([f.height for f in facts], dtype=np.float64)
    size = np.array([f.n_bytes for f in facts], dtype=np.float64)
    return _shape(width, height) | {
        "is_jpeg": np.array([float(f.format == "JPEG") for f in facts]),
        "jpeg_quality": np.array([f.quality for f in facts]),
        "subsampling": np.array([float(f.subsampling) for f in facts]),
        "progressive": np.array([float(f.progressive) for f in facts]),
        "bytes": size,
        "bytes_per_pixel": size / (width * height),
    }


def _shape(width: NDArray[np.float64], height: NDArray[np.float64]) -> dict[str, Any]:
    return {
        "width": width,
        "height": height,
        "megapixels": width * height / 1e6,
        "aspect": width / height,
        "square": (width == height).astype(np.float64),
        "multiple_of_8": ((width % 8 == 0) & (height % 8 == 0)).astype(np.float64),
    }


def describe(
    columns: dict[str, NDArray[np.float64]], labels: NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    """Return per feature the median (mean of a yes/no) of each class, and the feature's own AUC."""
    return {name: _describe(values, labels) for name, values in columns.items()}


def _describe(values: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float | None]:
    known = ~np.isnan(values)
    real, generated = values[known & (labels == 0)], values[known & (labels == 1)]
    if not len(real) or not len(generated):
        return {"real": None, "ai_generated": None, "auc": None}
    middle = np.mean if set(np.unique(values[known])) <= {0.0, 1.0} else np.median
    return {
        "real": round(float(middle(real)), 4),
        "ai_generated": round(float(middle(generated)), 4),
        "auc": round(float(roc_auc_score(labels[known], values[known])), 4),
    }


def file_auc(
    columns: dict[str, NDArray[np.float64]], labels: NDArray[np.int64], groups: Sequence[str]
) -> FileAuc | None:
    """Cross-validate a random forest on file features, whole groups held out.

    Returns None where a class has fewer groups than there are folds. 0.5 is no clue.
    """
    sources = Counter(label for label, _ in {*zip(labels.tolist(), groups, strict=True)})
    if min(sources[0], sources[1]) < _FOLDS:
        return None
    features = np.stack(list(columns.values()), axis=1)
    scores = np.full(len(labels), math.nan)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    single = []
    for train, test in folds.split(features, labels, groups):
        model = RandomForestClassifier(_TREES, min_samples_leaf=_LEAF, random_state=_SEED)
        model.fit(features[train], labels[train])
        scores[test] = model.predict_proba(features[test])[:, 1]
        if len(set(labels[test])) == 2:
            single.append(float(roc_auc_score(labels[test], scores[test])))
    return FileAuc(
        auc=round(float(roc_auc_score(labels, scores)), 4),
        lowest_fold=round(min(single, default=math.nan), 4),
        highest_fold=round(max(single, default=math.nan), 4),
        features=tuple(columns),
    )


def measure(
    columns: dict[str, NDArray[np.float64]] | None,
    labels: NDArray[np.int64],
    groups: Sequence[str],
) -> dict[str, Any]:
    """Return what the report and the metrics hold about one set of features; JSON values."""
    if columns is None or not len(labels):
        return {"features": {}, "classifier": None}
    classifier = file_auc(columns, labels, groups)
    return {
        "features": describe(columns, labels),
        "classifier": asdict(classifier) | {"features": list(columns)} if classifier else None,
    }
