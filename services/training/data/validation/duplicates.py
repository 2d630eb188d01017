"""Pairs of photos that are the same, or show the same, on two sides of a split."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.manifest import Record
from services.training.data.validation.inspect import Facts

# Hashes compared at a time; 7,000 photos are 14 blocks of 28 MB.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos, the one nearer to training first."""

    first: Record
    second: Record
    # Differing bits of the 64-bit perceptual hashes, and the thumbnails' correlation.
    distance: int
    correlation: float
    exact: bool

    @property
    def crosses(self) -> bool:
        """Whether the two are on different sides of the split."""
        return self.first.side != self.second.side

    @property
    def labels_differ(self) -> bool:
        """Whether one is called real and the other generated."""
        return self.first.label != self.second.label


def find_pairs(
    records: Sequence[Record], facts: Sequence[Facts], distance: int, correlation: float
) -> list[Pair]:
    """Return pairs that cross sides or labels, the most alike first; others are left out.

    A near duplicate's hashes differ in at most `distance` bits and its thumbnails correlate by at
    least `correlation`: the hash alone takes plain backgrounds for each other.
    """
    exact = _same_bytes(records)
    thumbnails = np.stack([item.thumbnail for item in facts]) if facts else np.empty((0, 1))
    hashes = np.array([item.phash for item in facts], dtype=np.uint64)
    order = {"train": 0, "validation": 1, "test": 2}
    found = []
    for i, j in close_hashes(hashes, distance) | exact:
        one, two = sorted((i, j), key=lambda k: (order[records[k].side], records[k].file))
        pair = Pair(
            records[one],
            records[two],
            distance=(facts[i].phash ^ facts[j].phash).bit_count(),
            correlation=float(thumbnails[i] @ thumbnails[j]),
            exact=(i, j) in exact,
        )
        alike = pair.exact or pair.correlation >= correlation
        if alike and (pair.crosses or pair.labels_differ):
            found.append(pair)
    return sorted(
        found, key=lambda p: (not p.exact, p.distance, -p.correlation, p.first.file, p.second.file)
    )


def close_hashes(hashes: NDArray[np.uint64], distance: int) -> set[tuple[int, int]]:
    """Return all pairs i < j of `hashes`, uint64 `[N]`, that differ in at most `distance` bits."""
    found: set[tuple[int, int]] = set()
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        near = np.argwhere(np.bitwise_count(block ^ hashes[None, start:]) <= distance)
        found |= {(start + int(i), start + int(j)) for i, j in near if i < j}
    return found


def _same_bytes(records: Sequence[Record]) -> set[tuple[int, int]]:
    """Return pairs i < j with the same stored file or the same source file."""
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        for digest in {record.sha256, record.source_sha256} - {None}:
            holders[str(digest)].append(number)
    return {(i, j) for numbers in holders.values() for i in numbers for j in numbers if i < j}
