"""The manifest, and splits that never cut through a source group."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.config import DataConfig
from services.training.data.exclusions import without_excluded
from services.training.data.folds import folds_of
from services.training.errors import TrainingError

MANIFEST_COLUMNS = ("file", "sha256", "label", "generator", "group", "split")


@dataclass(frozen=True, slots=True)
class Row:
    """One photo of the manifest. `label` is 1 for AI-generated, 0 for real.

    `source_…` is the original that the stored photo was made from, sides in pixels as its file
    has them; where the manifest does not tell, they are empty or 0.
    """

    path: Path
    sha256: str
    label: int
    generator: str
    group: str
    split: str
    source_sha256: str = ""
    # `OWNER/NAME` of a git repository, or the name of a package.
    repository: str = ""
    source_width: int = 0
    source_height: int = 0

    @property
    def family(self) -> str:
        """What balanced sampling counts as one: a generator, or one source of real photos."""
        return self.generator if self.label else self.group


@dataclass(frozen=True, slots=True)
class Splits:
    """Disjoint in groups. `test` maps a name to the rows that are judged together."""

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: dict[str, tuple[Row, ...]]


def read_manifest(folder: Path, extra: Sequence[str] = ()) -> list[Row]:
    """Read `manifest.csv` and the manifests named in `extra`, all in `folder`.

    Photos of the repository's `data/exclusions.csv` are left out.

    Raises TrainingError on a missing manifest, column, label or image file, or an odd size.
    """
    names = ("manifest.csv", *extra)
    listed = [_row(folder, line) for name in names for line in read_lines(folder / name)]
    rows = without_excluded(listed)
    missing = [row.path for row in rows if not row.path.is_file()]
    if missing:
        raise TrainingError(f"{len(missing)} images are missing, the first is {missing[0]}")
    return rows


def read_lines(path: Path) -> list[dict[str, str]]:
    """Return a manifest's lines as they stand, column by name.

    Raises TrainingError when the file is missing or lacks a column that training reads.
    """
    if not path.is_file():
        raise TrainingError(f"there is no manifest at {path}; see docs/data.md")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        absent = [name for name in MANIFEST_COLUMNS if name not in (reader.fieldnames or ())]
        if absent:
            raise TrainingError(f"{path} lacks the columns {absent}")
        return list(reader)


def _row(folder: Path, record: dict[str, str]) -> Row:
    labels = {"real": 0, "ai_generated": 1}
    if record["label"] not in labels:
        raise TrainingError(f"{record['file']} has the unknown label {record['label']!r}")
    return Row(
        path=folder / record["file"],
        sha256=record["sha256"],
        label=labels[record["label"]],
        generator=record["generator"],
        group=record["group"],
        split=record["split"],
        source_sha256=record.get("source_sha256") or "",
        repository=record.get("source_repo") or "",
        source_width=_pixels(record, "source_width"),
        source_height=_pixels(record, "source_height"),
    )


def _pixels(record: dict[str, str], column: str) -> int:
    text = record.get(column) or "0"
    if not (text.isascii() and text.isdigit()):
        raise TrainingError(f"{record['file']} has the odd {column} {text!r}, not whole pixels")
    return int(text)


def split_rows(rows: Sequence[Row], config: DataConfig) -> Splits:
    """Form train, validation and test sets by whole source groups.

    Validation is the manifest's `val` plus `holdout_groups`. `test_unseen_generator` has generated
    photos only and is judged against the real ones of `test_unseen_source`.

    Raises TrainingError when a holdout group is unknown or a group would lie on two sides.
    """
    train, validation = _trained_and_validated(rows, config)
    source = [row for row in rows if row.split == "test_unseen_source"]
    generator = [row for row in rows if row.split == "test_unseen_generator"]
    _refuse_shared_groups(train, validation, source + generator)
    limit = config.limit_per_class
    paired = generator + [row for row in source if row.label == 0]
    return Splits(
        train=_limited(train, limit),
        validation=_limited(validation, limit),
        test={
            "test_unseen_source": _limited(source, limit),
            "test_unseen_generator": _limited(paired, limit),
        },
    )


def _trained_and_validated(rows: Sequence[Row], config: DataConfig) -> tuple[list[Row], list[Row]]:
    trained = {"train", *config.extra_splits}
    holdout = set(config.holdout_groups)
    unknown = holdout - {row.group for row in rows if row.split in trained}
    if unknown:
        raise TrainingError(f"holdout groups are not among what trains: {sorted(unknown)}")
    if config.held_out_folds:
        pool = [row for row in rows if row.split in {*trained, "val"}]
        held_out = np.isin(
            folds_of([(row.label, row.group) for row in pool]), config.held_out_folds
        )
        pairs = list(zip(pool, held_out, strict=True))
        return [row for row, out in pairs if not out], [row for row, out in pairs if out]
    train = [row for row in rows if row.split in trained and row.group not in holdout]
    validation = [
        row for row in rows if row.split == "val" or (row.split in trained and row.group in holdout)
    ]
    return train, validation


def _refuse_shared_groups(*sides: Iterable[Row]) -> None:
    seen: dict[str, int] = {}
    for number, side in enumerate(sides):
        for row in side:
            if seen.setdefault(row.group, number) != number:
                raise TrainingError(f"group {row.group!r} is on two sides of a split")


def _limited(rows: Sequence[Row], limit: int | None) -> tuple[Row, ...]:
    """Take at most `limit` rows per class, one from each group in turn, by file hash."""
    if limit is None:
        return tuple(rows)
    chosen: list[Row] = []
    for label in (0, 1):
        groups: defaultdict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row.sha256):
            if row.label == label:
                groups[row.group].append(row)
        ranked = [(rank, row) for members in groups.values() for rank, row in enumerate(members)]
        ranked.sort(key=lambda pair: (pair[0], pair[1].sha256))
        chosen += [row for _, row in ranked[:limit]]
    return tuple(chosen)


def sampling_weights(rows: Sequence[Row], config: DataConfig) -> NDArray[np.float64]:
    """Return each row's probability of being drawn, float64 `[N]`, summing to 1.

    Both classes get one half; within a class a family of n photos gets a share in proportion to
    n**family_exponent, evenly over its photos. Rows of `extra_splits` are scaled by their weight.
    """
    sizes = Counter((row.label, row.family) for row in rows)
    weights = np.array(
        [
            sizes[row.label, row.family] ** (config.family_exponent - 1.0)
            * config.extra_splits.get(row.split, 1.0)
            for row in rows
        ]
    )
    labels = np.array([row.label for row in rows])
    for label in (0, 1):
        mask = labels == label
        if not mask.any():
            raise TrainingError(f"the train split has no photo with label {label}")
        weights[mask] *= 0.5 / weights[mask].sum()
    return weights


def fingerprint(rows: Iterable[Row]) -> str:
    """Return the SHA-256 over what was used: the sorted (hash, label, split, group) of `rows`."""
    lines = sorted(f"{row.sha256},{row.label},{row.split},{row.group}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
