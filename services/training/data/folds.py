"""Five folds of whole source groups, to compare recipes on more kinds of sources than `val` has."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def folds_of(rows: Sequence[tuple[int, str]]) -> NDArray[np.int64]:
    """Return the fold, int64 `[N]` in 0..4, of rows that are (label, group).

    Groups go whole, the largest first, to the fold that has the fewest photos of their class. What
    the manifest calls a split does not matter here: the caller leaves the test splits out.
    """
    home: dict[tuple[int, str], int] = {}
    for label in (0, 1):
        sizes = [0] * FOLDS
        counts = Counter(group for each, group in rows if each == label)
        for group, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            fold = home.get((1 - label, group), int(np.argmin(sizes)))
            home[label, group] = fold
            sizes[fold] += count
    return np.array([home[row] for row in rows], dtype=np.int64)
