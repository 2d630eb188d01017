"""Which photos a training step sees: sources, classes and contents weigh what they should."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.data.content import balanced, clustered
from services.training.evaluate.calibrate import group_weights

# Groups of like content, by the trunk's last class token.
CONTENT_GROUPS = 24
# Share of the draws in which content says nothing of the class; the others keep rare contents.
_BALANCED_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Columns:
    """The store's rows as arrays of `[N]`, in its order."""

    sha256: NDArray[np.str_]
    # int64, 1 is AI-generated.
    label: NDArray[np.int64]
    split: NDArray[np.str_]
    repository: NDArray[np.str_]
    generator: NDArray[np.str_]
    category: NDArray[np.str_]
    is_original: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.label)


def read_columns(path: Path) -> Columns:
    """Read `rows.csv` of a training store."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))

    def column(name: str) -> NDArray[Any]:
        return np.array([row[name] for row in rows])

    return Columns(
        sha256=column("sha256"),
        label=column("label").astype(np.int64),
        split=column("split"),
        repository=column("repository"),
        generator=column("generator"),
        category=column("category"),
        is_original=column("is_original") == "True",
    )


def folds(repositories: NDArray[np.str_], count: int) -> NDArray[np.int64]:
    """Return the fold of each photo, int64 `[N]` in 0..count-1; a repository is never cut."""
    return np.array(
        [int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % count for name in repositories],
        dtype=np.int64,
    )


def draw_weights(
    columns: Columns, chosen: NDArray[np.int64], content: NDArray[np.float32], seed: int
) -> NDArray[np.float64]:
    """Return the chance of each photo of `chosen` (indices `[M]`), float64 `[M]`, sum 1.

    Classes are even; a source of n photos counts n**0.5 times. In a part of the draws classes are
    also even within each group of like content, so that neither subject nor style is the clue.
    `content` float32 `[M, D]` is the trunk's last class token.
    """
    labels = columns.label[chosen]
    plain = group_weights(labels, list(columns.repository[chosen]))
    groups = clustered(content, max(1, min(CONTENT_GROUPS, len(chosen) // 8)), seed)
    even = balanced(plain, labels, groups)
    mixed = _BALANCED_SHARE * even + (1 - _BALANCED_SHARE) * plain
    return np.asarray(mixed / mixed.sum())
