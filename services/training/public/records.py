"""What every reader of a public data set gives, and in which order."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

# What the manifest calls the generator of a photo that none made.
REAL = "real-photo"


@dataclass(frozen=True, slots=True)
class Record:
    """One photo of a public data set.

    `data` is the file as the data set has it; `label` 1 is AI-generated; `generator` is `REAL` for
    a photo. `source` is what splits and caps go by: a source is never on two sides.
    """

    data: bytes
    label: int
    generator: str
    source: str
    licence: str


class Skip(StrEnum):
    """Why a row is not in the store."""

    UNREADABLE = "unreadable"
    OTHER_SPLIT = "of another split"
    DUPLICATE = "twice the same file"
    OVER_CAP = "over a cap"


class Reader(Protocol):
    """A data set as shards of rows. The same files give the same rows in the same order."""

    def shards(self) -> list[str]:
        """Return the names of all shards, in the order in which to read them.

        Raises TrainingError when there is none.
        """
        ...

    def read(self, shard: str, start: int = 0) -> Iterator[Record | Skip]:
        """Yield the rows of a shard from number `start` on, or why one is left out.

        Raises TrainingError when the shard is missing or of another layout.
        """
        ...

    def done(self, shard: str) -> None:
        """Take note that every row of `shard` is in the store: its file is not needed again."""
        ...


def mixed(names: Sequence[str]) -> list[str]:
    """Return `names` in an order by their hashes.

    Data sets are sorted by generator or class: a run that is bounded would see the first few.
    """
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def share_of(name: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on `name` and `seed` alone."""
    return int(hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:12], 16) / 16.0**12
