"""The committed list of photos: what each is, where it came from and under which licence."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from services.training.data.photos import read_lines
from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT

MANIFEST = REPOSITORY_ROOT / "data" / "manifest.csv"

Label = Literal["real", "ai_generated"]
# Rows of one side may share a group or a scene; rows of two sides may not.
Side = Literal["train", "validation", "test"]
_SIDE: dict[str, Side] = {
    "val": "validation",
    "test_unseen_source": "test",
    "test_unseen_generator": "test",
}

_SHA256 = r"^[0-9a-f]{64}$"
# File names in URLs may hold spaces, as their repositories do: `fetch` quotes them.
_SOURCE = re.compile(r"https://[^/\s]+/.+|pkg:(pypi|npm)/@?[^\s#@]+@[^\s#@]+#\S.*")


class Record(BaseModel):
    """One line of the manifest. Where a photo came from may be unknown: those fields are None."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    # Path below the data set's folder.
    file: str = Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*\.[a-z]+$")
    sha256: str = Field(pattern=_SHA256)
    label: Label
    generator: str = Field(min_length=1)
    group: str = Field(min_length=1)
    # `train`, `val`, a test split, or another that a run may add to its training photos.
    split: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    category: str | None = None
    width: int | None = Field(default=None, ge=1)
    height: int | None = Field(default=None, ge=1)
    # `original` bytes, or brought to a short side of 300 px and encoded as JPEG 82.
    stored: Literal["original", "jpeg82"] | None = None
    # https://…, or pkg:pypi/NAME@VERSION#MEMBER and pkg:npm/… (package URL, ECMA-427).
    source_url: str | None = None
    source_repo: str | None = None
    source_path: str | None = None
    source_sha256: str | None = Field(default=None, pattern=_SHA256)
    source_format: str | None = None
    source_width: int | None = Field(default=None, ge=1)
    source_height: int | None = Field(default=None, ge=1)
    licence: str | None = None

    @field_validator("source_url")
    @classmethod
    def _known_source(cls, value: str | None) -> str | None:
        if value is not None and not _SOURCE.fullmatch(value):
            raise ValueError("is neither https://… nor pkg:pypi|npm/NAME@VERSION#MEMBER")
        return value

    @property
    def side(self) -> Side:
        """Which of the sides that must not meet the row is on; extra material is for training."""
        return _SIDE.get(self.split, "train")


COLUMNS = tuple(Record.model_fields)


def read_records(path: Path) -> tuple[list[Record], list[str]]:
    """Read a manifest; return its valid rows, and what is wrong with the others, in words.

    Raises TrainingError when the file is missing or lacks a column that training reads.
    """
    records: list[Record] = []
    problems: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(read_lines(path), 2):
        try:
            record = Record.model_validate(
                {key: value or None for key, value in line.items() if key}
            )
        except ValidationError as error:
            problems += [f"line {number}: {_words(item)}" for item in error.errors()]
            continue
        if record.file in seen:
            problems.append(f"line {number}: {record.file} is listed twice")
            continue
        seen.add(record.file)
        records.append(record)
    return records, problems


def load_records(path: Path) -> list[Record]:
    """Read a manifest that must be flawless. Raises TrainingError with the first problems."""
    records, problems = read_records(path)
    if problems:
        first = "; ".join(problems[:3])
        raise TrainingError(f"{path} has {len(problems)} faulty rows: {first}")
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a manifest, whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(record.model_dump() for record in records)
    part.replace(path)


def _words(error: object) -> str:
    detail = dict(error) if isinstance(error, dict) else {}
    return f"{'.'.join(map(str, detail['loc']))} {detail['msg']} (is {detail['input']!r})"
