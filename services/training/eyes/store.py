"""The training store: every photo decoded once, as the arrays that the networks take.

A folder outside the work tree with `stacks.npy`, uint8 `[N, V, 1 + K, S, S, 3]`, memory-mapped,
and `rows.csv`, one line a photo in the same order. V versions of a photo: as it is kept, and
degraded (`services.training.eyes.degrade`). A run that was stopped continues where it ended, and
a store of more photos begins with what was computed of the same photos in an older one (`grow`).
"""

import csv
import hashlib
import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.data.exclusions import without_excluded
from services.training.errors import TrainingError
from services.training.eyes.degrade import degraded, kept
from shared.ml.preprocess import stack, upright
from shared.ml.spec import StackSpec

STACKS, DONE, ROWS, SPEC = "stacks.npy", "done.npy", "rows.csv", "spec.json"
VERSIONS = ("kept", "degraded")
_CHUNK = 64
# Says which photos a store is of, and how they were decoded.
_MARK = "items.sha256"


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of the store: where its bytes are, and whose it is."""

    sha256: str
    path: Path
    label: int
    split: str
    # A source is a repository.
    repository: str
    generator: str
    category: str
    group: str
    # Of the original, pixels; of the view where the original is missing.
    width: int
    height: int
    is_original: bool


# Of `rows.csv`.
COLUMNS = tuple(name for name in Item.__slots__ if name != "path")


def choose_items(
    manifest: Path, dataset: Path, originals: Path, cap: int, splits: Sequence[str]
) -> list[Item]:
    """Return at most `cap` photos of each repository, class and split, originals first.

    Photos of the repository's `data/exclusions.csv` are left out. Raises TrainingError when the
    manifest cannot be read.
    """
    try:
        with manifest.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise TrainingError(f"the manifest {manifest} cannot be read: {error}") from error
    items = [_item(row, dataset, originals) for row in rows if row["split"] in splits]
    items = [item for item in without_excluded(items) if item.path.is_file()]
    items.sort(key=lambda item: (not item.is_original, item.sha256))
    counts: Counter[tuple[str, int, str]] = Counter()
    chosen = []
    for item in items:
        key = (item.repository, item.label, item.split)
        counts[key] += 1
        if counts[key] <= cap:
            chosen.append(item)
    return sorted(chosen, key=lambda item: item.sha256)


def _item(row: dict[str, str], dataset: Path, originals: Path) -> Item:
    digest = row["source_sha256"]
    original = originals / digest[:2] / digest
    found = bool(digest) and original.is_file()
    sizes = ("source_width", "source_height") if found else ("width", "height")
    width, height = (int(row[name] or 0) for name in sizes)
    return Item(
        sha256=row["sha256"],
        path=original if found else dataset / row["file"],
        label=int(row["label"] == "ai_generated"),
        split=row["split"],
        repository=row["source_repo"] or row["group"],
        generator=row["generator"],
        category=row["category"],
        group=row["group"],
        width=width,
        height=height,
        is_original=found,
    )


def build(
    items: Sequence[Item],
    folder: Path,
    spec: StackSpec,
    workers: int = 2,
    say: Callable[[str], None] = print,
) -> None:
    """Decode `items` into `folder`; what is there already for the same items stays."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = not _is_of(folder, items, spec)
    if fresh:
        # What was computed of other photos must not be taken for these'.
        for computed in folder.glob("*done.npy"):
            computed.unlink()
    shape = (len(items), len(VERSIONS), *spec.shape)
    mode = "w+" if fresh else "r+"
    stacks = np.lib.format.open_memmap(folder / STACKS, mode, np.uint8, shape if fresh else None)
    done = np.lib.format.open_memmap(
        folder / DONE, mode, np.bool_, (len(items),) if fresh else None
    )
    _write_rows(items, folder / ROWS)
    (folder / SPEC).write_text(spec.model_dump_json(), encoding="utf-8")
    _mark(folder, items, spec)
    todo = [index for index in range(len(items)) if not done[index]]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for start in range(0, len(todo), _CHUNK):
            part = todo[start : start + _CHUNK]
            made = pool.map(_versions, [items[index] for index in part], [spec] * len(part))
            for index, arrays in zip(part, made, strict=True):
                if arrays is not None:
                    stacks[index] = arrays
                    done[index] = True
            say(f"{start + len(part)} of {len(todo)} photos")


def grow(items: Sequence[Item], folder: Path, spec: StackSpec, older: Path) -> int:
    """Begin a store of `items` with everything that `older` computed of the same files.

    Every array of `older` whose first axis are its photos is taken over: decoded photos, tokens and
    statistics. Returns how many photos were found; the others are computed as ever. A store that
    is there already for these items stays as it is.

    Raises TrainingError when `older` cannot be read, or its photos were decoded otherwise.
    """
    if _is_of(folder, items, spec):
        return 0
    try:
        with (older / ROWS).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        other = StackSpec.model_validate_json((older / SPEC).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"the store {older} cannot be read: {error}") from error
    if other != spec:
        raise TrainingError(f"the store {older} was decoded as {other}, not as {spec}")
    folder.mkdir(parents=True, exist_ok=True)
    # An original that came later is another file than the view that stood for it.
    place = {(row["sha256"], row["is_original"]): number for number, row in enumerate(rows)}
    found = [place.get((item.sha256, str(item.is_original))) for item in items]
    for path in sorted(older.glob("*.npy")):
        before = np.load(path, mmap_mode="r")
        if len(before) != len(rows):
            continue
        shape = (len(items), *before.shape[1:])
        after = np.lib.format.open_memmap(folder / path.name, "w+", before.dtype, shape)
        for number, row in enumerate(found):
            if row is not None:
                after[number] = before[row]
        after.flush()
    _write_rows(items, folder / ROWS)
    _mark(folder, items, spec)
    return sum(row is not None for row in found)


def _is_of(folder: Path, items: Sequence[Item], spec: StackSpec) -> bool:
    mark = folder / _MARK
    return mark.exists() and mark.read_text(encoding="utf-8") == _digest(items, spec)


def _mark(folder: Path, items: Sequence[Item], spec: StackSpec) -> None:
    (folder / _MARK).write_text(_digest(items, spec), encoding="utf-8")


def _digest(items: Sequence[Item], spec: StackSpec) -> str:
    described = json.dumps({"spec": spec.model_dump(), "items": [item.sha256 for item in items]})
    return hashlib.sha256(described.encode()).hexdigest()


def versions_of(
    data: bytes, sha256: str, spec: StackSpec
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return both versions of a file, uint8 `[V, 1 + K, S, S, 3]`, and its width and height.

    `sha256` seeds the degradation. Raises whatever the decoder does for a broken file.
    """
    rng = np.random.default_rng(int(sha256[:12], 16))
    photo = upright(data, max_pixels=100_000_000)
    files = [kept(photo, rng), degraded(photo, rng)]
    return np.stack([stack(each, spec).pixels for each in files]), photo.size


def _versions(item: Item, spec: StackSpec) -> NDArray[np.uint8] | None:
    """Return both versions of a photo; None where its bytes cannot be decoded."""
    try:
        return versions_of(item.path.read_bytes(), item.sha256, spec)[0]
    except Exception as error:  # noqa: BLE001 - a broken file of thousands is reported, not fatal
        print(f"{item.path}: {error}")  # noqa: T201
        return None


def _write_rows(items: Sequence[Item], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for item in items:
            writer.writerow([getattr(item, name) for name in COLUMNS])
