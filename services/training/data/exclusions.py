"""Photos that stay in the manifest but take no part: leaks between splits, wrong labels."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT

EXCLUSIONS = REPOSITORY_ROOT / "data" / "exclusions.csv"
COLUMNS = ("file", "sha256", "reason")


class Hashed(Protocol):
    """Anything that knows the SHA-256 of its photo, such as a manifest row."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the stored file, in hex."""


HashedT = TypeVar("HashedT", bound=Hashed)


def read_exclusions(path: Path = EXCLUSIONS) -> dict[str, str]:
    """Return the reason for each excluded SHA-256; nothing is excluded where there is no file.

    Raises TrainingError on a missing column or an exclusion without a reason.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise TrainingError(f"{path} must have the columns {', '.join(COLUMNS)}")
        found = {line["sha256"]: line["reason"] for line in reader}
    if not all(found.values()):
        raise TrainingError(f"{path} excludes a photo without a reason")
    return found


def without_excluded(rows: Sequence[HashedT], path: Path = EXCLUSIONS) -> list[HashedT]:
    """Return `rows` without the photos that the file at `path` excludes. Raises TrainingError."""
    excluded = read_exclusions(path)
    return [row for row in rows if row.sha256 not in excluded]


def write_exclusions(path: Path, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write (file, sha256, reason) lines."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
