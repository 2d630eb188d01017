"""Filling the training store from a reader: bounded, resumable, the same however often stopped.

The folder is a store as `services.training.eyes.store` makes it. `cursor.json` beside it says which
row of which shard comes next; it is written after the rows that it counts, and what is beyond it is
cut off when the next run begins.
"""

import csv
import hashlib
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from services.training.errors import TrainingError
from services.training.eyes.store import COLUMNS, DONE, ROWS, STACKS, VERSIONS, versions_of
from services.training.public.config import PublicConfig
from services.training.public.growing import GrowingArray
from services.training.public.records import Reader, Record, Skip, share_of
from shared.ml.spec import StackSpec

CURSOR = "cursor.json"
# Photos between two marks: what a stopped run does again.
_CHUNK = 32
Say = Callable[[str], None]
Made = tuple[NDArray[np.uint8], tuple[int, int]] | None
Decode = Callable[[list[Record], list[str]], list[Made]]


@dataclass(slots=True)
class Cursor:
    """Where the next run goes on: row `row` of `shards[shard]`, with `rows` photos in the store."""

    config: str
    shards: list[str]
    shard: int = 0
    row: int = 0
    rows: int = 0
    finished: bool = False
    # Rows that are not in the store, by reason.
    skipped: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a cursor. Raises TrainingError when there is none that can be read."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise TrainingError(f"{path} cannot be read: {error}") from error

    def save(self, path: Path) -> None:
        """Write the cursor in one step."""
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        temporary.replace(path)


def fill(config: PublicConfig, reader: Reader, folder: Path, say: Say = print) -> Cursor:
    """Fill `folder` until the caps or the shards are used up; go on where a run was stopped.

    Raises TrainingError when the folder belongs to another configuration, or no photo was taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cursor = _cursor(config, reader, folder)
    if not cursor.finished:
        with _Filling(config, reader, folder, cursor) as filling:
            filling.run(say)
    left = ", ".join(f"{count} {reason}" for reason, count in sorted(cursor.skipped.items()))
    if not cursor.rows:
        raise TrainingError(f"no photo of {config.name} was taken; left out: {left or 'none read'}")
    say(f"{cursor.rows} photos in {folder}; left out: {left or 'none'}")
    return cursor


def _cursor(config: PublicConfig, reader: Reader, folder: Path) -> Cursor:
    path, identity = folder / CURSOR, _identity(config)
    if not path.exists():
        return Cursor(identity, reader.shards())
    cursor = Cursor.load(path)
    if cursor.config != identity:
        raise TrainingError(
            f"{folder} was filled under another configuration of data, caps or stack."
            " Name another --store, or remove it to start over."
        )
    return cursor


def _identity(config: PublicConfig) -> str:
    """Return a hash of what decides which rows the store has, and what is in them."""
    names = {"name", "data", "caps", "validation_share", "validation_generators"}
    text = config.model_dump_json(include=names) + config.eyes.model_dump_json(
        include={"seed", "spec"}
    )
    return hashlib.sha256(text.encode()).hexdigest()


class _Filling:
    """One run of `fill`: the open files, and what was taken so far."""

    def __init__(self, config: PublicConfig, reader: Reader, folder: Path, cursor: Cursor) -> None:
        self._config, self._reader = config, reader
        self._folder, self._cursor = folder, cursor
        self._taken: Counter[tuple[str, object]] = Counter()
        self._hashes: set[str] = set()
        row = (len(VERSIONS), *config.eyes.spec.shape)
        self._stacks = GrowingArray(folder / STACKS, np.uint8, row, cursor.rows)
        self._keep_rows()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stacks.__exit__(None, None, None)

    def run(self, say: Say) -> None:
        """Read on until nothing is left or wanted."""
        cursor = self._cursor
        with decoding(self._config.workers, self._config.eyes.spec) as decode:
            while cursor.shard < len(cursor.shards) and not self._full():
                shard = cursor.shards[cursor.shard]
                self._read(shard, decode)
                if self._full():
                    break
                cursor.shard, cursor.row = cursor.shard + 1, 0
                cursor.save(self._folder / CURSOR)
                self._reader.done(shard)
                say(f"shard {cursor.shard} of {len(cursor.shards)}: {cursor.rows} photos")
        np.save(self._folder / DONE, np.ones(cursor.rows, np.bool_))
        cursor.finished = True
        cursor.save(self._folder / CURSOR)

    def _read(self, shard: str, decode: Decode) -> None:
        chunk: list[tuple[Record, str]] = []
        skipped: Counter[str] = Counter()
        row = self._cursor.row
        for row, found in enumerate(self._reader.read(shard, row), start=row + 1):  # noqa: B020 - read once
            taken = self._wanted(found)
            if isinstance(taken, Skip):
                skipped[taken] += 1
            else:
                chunk.append(taken)
            if len(chunk) == _CHUNK:
                self._keep(chunk, skipped, row, decode)
                chunk, skipped = [], Counter()
                if self._full():
                    return
        self._keep(chunk, skipped, row, decode)

    def _wanted(self, found: Record | Skip) -> tuple[Record, str] | Skip:
        """Count a record towards its caps and return it with its hash, or why it is left out."""
        if isinstance(found, Skip):
            return found
        sha256 = hashlib.sha256(found.data).hexdigest()
        if sha256 in self._hashes:
            return Skip.DUPLICATE
        if any(self._taken[key] >= most for key, most in self._limits(found)):
            return Skip.OVER_CAP
        self._count(found, sha256, 1)
        return found, sha256

    def _limits(self, record: Record) -> Iterator[tuple[tuple[str, object], int]]:
        caps = self._config.caps
        yield ("class", record.label), caps.per_class
        yield ("source", record.source), caps.per_source
        if record.label:
            yield ("generator", record.generator), caps.per_generator

    def _count(self, record: Record, sha256: str, step: int) -> None:
        for key, _most in self._limits(record):
            self._taken[key] += step
        (self._hashes.add if step > 0 else self._hashes.discard)(sha256)

    def _full(self) -> bool:
        most = self._config.caps.per_class
        return all(self._taken["class", label] >= most for label in (0, 1))

    def _keep(
        self, chunk: list[tuple[Record, str]], skipped: Counter[str], row: int, decode: Decode
    ) -> None:
        """Decode and append a chunk, then move the cursor to `row` of the shard."""
        made = decode([record for record, _ in chunk], [sha256 for _, sha256 in chunk])
        arrays, lines = [], []
        for (record, sha256), found in zip(chunk, made, strict=True):
            if found is None:
                self._count(record, sha256, -1)
                skipped[Skip.UNREADABLE] += 1
                continue
            arrays.append(found[0])
            lines.append(self._line(record, sha256, found[1]))
        if arrays:
            self._stacks.append(np.stack(arrays))
            self._write(lines, "a")
        cursor = self._cursor
        cursor.rows += len(lines)
        cursor.row = row
        for reason, count in skipped.items():
            cursor.skipped[reason] = cursor.skipped.get(reason, 0) + count
        cursor.save(self._folder / CURSOR)

    def _line(self, record: Record, sha256: str, size: tuple[int, int]) -> dict[str, Any]:
        return {
            "sha256": sha256,
            "label": record.label,
            "split": self._split(record),
            "repository": record.source,
            "generator": record.generator,
            "category": "",
            # The store's columns have no other place for the licence; groups are not read there.
            "group": f"{self._config.name} ({record.licence})",
            "width": size[0],
            "height": size[1],
            "is_original": True,
        }

    def _split(self, record: Record) -> str:
        config = self._config
        held_out = record.generator in config.validation_generators
        share = share_of(record.source, config.eyes.seed)
        return "val" if held_out or share < config.validation_share else "train"

    def _keep_rows(self) -> None:
        """Cut `rows.csv` to what the cursor counts, and count it towards the caps."""
        lines: list[dict[str, Any]] = []
        if self._cursor.rows:
            with (self._folder / ROWS).open(encoding="utf-8", newline="") as stream:
                lines = list(csv.DictReader(stream))[: self._cursor.rows]
        if len(lines) != self._cursor.rows:
            raise TrainingError(f"{self._folder / ROWS} is not as it was left. Remove its folder.")
        for line in lines:
            record = Record(b"", int(line["label"]), line["generator"], line["repository"], "")
            self._count(record, line["sha256"], 1)
        self._write(lines, "w")

    def _write(self, lines: list[dict[str, Any]], mode: str) -> None:
        with (self._folder / ROWS).open(mode, encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            if mode == "w":
                writer.writeheader()
            writer.writerows(lines)


@contextmanager
def decoding(workers: int, spec: StackSpec) -> Iterator[Decode]:
    """Yield what turns records into stacks, in processes or, with none, in this one."""
    make = partial(_made, spec=spec)
    if not workers:
        yield lambda records, hashes: list(map(make, [each.data for each in records], hashes))
        return
    # Not forked: Arrow's threads are running by the time of the first photo.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield lambda records, hashes: list(pool.map(make, [each.data for each in records], hashes))


def _made(data: bytes, sha256: str, spec: StackSpec) -> Made:
    """Return a photo's versions and size; None where its bytes cannot be decoded."""
    try:
        return versions_of(data, sha256, spec)
    except Exception:  # noqa: BLE001 - broken files of millions are counted, not fatal
        return None
