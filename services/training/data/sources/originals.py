"""The folder with photos' originals: the bytes as their source has them, named by their hash."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from services.training.data.cache import sha256_of

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Sourced(Protocol):
    """What names its original: a `Row` that training reads, or a manifest's `Record`."""

    @property
    def source_sha256(self) -> str | None:
        """SHA-256 of the original in hex; None or empty where it is unknown."""


class Counted(Sourced, Protocol):
    """What coverage is counted by."""

    @property
    def label(self) -> int | str:
        """1 or `ai_generated`, 0 or `real`."""

    @property
    def split(self) -> str:
        """The manifest's split."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many photos of one class in one split there are, and how many have their original."""

    photos: int
    originals: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares by split and class (`real`, `ai_generated`); classes without photos are absent."""

    by_split: dict[str, dict[str, Share]]

    @property
    def total(self) -> Share:
        """All splits and classes together."""
        shares = [share for classes in self.by_split.values() for share in classes.values()]
        return Share(sum(s.photos for s in shares), sum(s.originals for s in shares))

    def summary(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return {
            "photos": self.total.photos,
            "originals": self.total.originals,
            "splits": {
                split: {
                    label: {"photos": share.photos, "originals": share.originals}
                    for label, share in classes.items()
                }
                for split, classes in self.by_split.items()
            },
        }


class Originals:
    """Originals at `<first two digits>/<SHA-256>` below a folder; complete or absent.

    Without a folder there are none, so that what trains on stored photos needs no setting.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def path(self, row: Sourced) -> Path | None:
        """Return the original's file, None where it is not there. Its bytes are not hashed."""
        if self.folder is None or not _SHA256.fullmatch(row.source_sha256 or ""):
            return None
        path = _place(self.folder, row.source_sha256 or "")
        # An empty file is what a full disk leaves; nothing has the hash of nothing.
        return path if path.is_file() and path.stat().st_size else None

    def put(self, data: bytes) -> Path:
        """Store an original under its hash; return its file.

        Raises OSError when the folder cannot be written, ValueError without a folder.
        """
        if self.folder is None:
            raise ValueError("there is no folder to store originals in")
        target = _place(self.folder, sha256_of(data))
        target.parent.mkdir(parents=True, exist_ok=True)
        # Two runs at once write beside each other, and the later one replaces equal bytes.
        part = target.with_name(f"{target.name}.part{os.getpid()}")
        part.write_bytes(data)
        part.replace(target)
        return target

    def coverage(self, rows: Iterable[Counted]) -> Coverage:
        """Count the rows that have their original, by split and class, both in order of name."""
        photos: Counter[tuple[str, str]] = Counter()
        originals: Counter[tuple[str, str]] = Counter()
        for row in rows:
            key = row.split, "ai_generated" if row.label in {1, "ai_generated"} else "real"
            photos[key] += 1
            originals[key] += self.path(row) is not None
        shares: defaultdict[str, dict[str, Share]] = defaultdict(dict)
        for split, label in sorted(photos):
            shares[split][label] = Share(photos[split, label], originals[split, label])
        return Coverage(dict(shares))


def _place(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256
