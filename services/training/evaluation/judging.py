"""Scores of photos in every tier: decoded once, judged in chunks, kept so that a run can resume."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.scoring import Asks
from services.training.eyes.store import Item
from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import read_header
from shared.ml.preprocess import UInt8Array, preprocess, stack
from shared.ml.recheck import reencode
from shared.ml.spec import PreprocessSpec, StackSpec

Floats = NDArray[np.float64]
Say = Callable[[str], None]
# A photo's file to the file of each tier, by the tier's name.
Prepare = Callable[[bytes], Mapping[str, bytes]]

MAX_PIXELS = 100_000_000
_CHUNK = 16
# Chunks between two writings of the cache.
_SAVE_EVERY = 8
_NUMBERS = ("logit", "second", "view", "tiles")
_FACTS = ("width", "height", "bytes", "tile_count")


@dataclass(frozen=True, slots=True)
class PhotoScores:
    """What a package says of N photos, float64 `[N]`; NaN where it has no such number.

    `logit` is the package's, `view` and `tiles` are its members'; `tiles_seen` bool `[N]`: whether
    the cascade went on to the tiles. `embedding` float32 `[N, E]`, None without one.
    """

    logit: Floats
    view: Floats
    tiles: Floats
    tiles_seen: NDArray[np.bool_]
    embedding: NDArray[np.float32] | None = None


# Model input uint8, `[N, 1 + K, S, S, 3]` or `[N, H, W, 3]`, to scores.
Scorer = Callable[[UInt8Array], PhotoScores]


@dataclass(frozen=True, slots=True)
class TierScores:
    """One tier's photos, in the order that was asked for.

    `second` float64 `[N]` is the logit after a re-encode, NaN where no rule asked. `facts` has what
    a file shows without its pixels, int64 `[N]` each: `width`, `height`, `bytes`, `tile_count`
    (different tiles); `formats` are the names of the originals' formats.
    """

    scores: PhotoScores
    second: Floats
    facts: dict[str, NDArray[np.int64]]
    formats: NDArray[np.str_]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which photos could be decoded, bool `[N]`."""
        return np.isfinite(self.scores.logit)

    def at(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "TierScores":
        """Return the photos at `index`, positions or a mask."""
        scores = self.scores
        return TierScores(
            PhotoScores(
                scores.logit[index],
                scores.view[index],
                scores.tiles[index],
                scores.tiles_seen[index],
                None if scores.embedding is None else scores.embedding[index],
            ),
            self.second[index],
            {name: values[index] for name, values in self.facts.items()},
            self.formats[index],
        )


@dataclass(frozen=True, slots=True)
class _Loaded:
    pixels: UInt8Array
    facts: dict[str, int]
    format: str


# One photo's row of a tier, as it is kept.
_Row = dict[str, Any]


class Cache:
    """Rows of each tier by photo, in a folder; None keeps them in memory only."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._rows: dict[str, dict[str, _Row]] = {}

    def rows(self, tier: str) -> dict[str, _Row]:
        """Return what is known of a tier, by photo."""
        if tier not in self._rows:
            self._rows[tier] = dict(self._read(tier))
        return self._rows[tier]

    def save(self) -> None:
        """Write every tier; a file that was there is replaced in one step."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for tier, rows in self._rows.items():
            if not rows:
                continue
            columns = next(iter(rows.values()))
            arrays: dict[str, Any] = {
                name: np.array([row[name] for row in rows.values()]) for name in columns
            }
            part = self._folder / f"{tier}.part.npz"
            np.savez(part, key=np.array(list(rows)), **arrays)
            part.replace(self._folder / f"{tier}.npz")

    def _read(self, tier: str) -> Iterator[tuple[str, _Row]]:
        path = self._folder / f"{tier}.npz" if self._folder else None
        if path is None or not path.is_file():
            return
        with np.load(path, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        keys = columns.pop("key")
        for position, key in enumerate(keys):
            yield str(key), {name: values[position] for name, values in columns.items()}


def judge(
    items: Sequence[Item],
    tiers: Sequence[str],
    prepare: Prepare,
    scorer: Scorer,
    spec: PreprocessSpec | StackSpec,
    *,
    asks: Asks | None = None,
    jpeg_quality: int = 75,
    cache: Cache | None = None,
    say: Say = lambda _line: None,
) -> dict[str, TierScores]:
    """Return the scores of `items` in each of `tiers`, which `prepare` makes of a photo's file.

    Photos whose logit `asks` names are looked at again after a re-encode of the model's input. A
    photo that cannot be decoded is told to `say` and has NaN for every score. Photos that `cache`
    knows are not judged again.
    """
    cache = cache or Cache(None)
    todo = [item for item in items if _missing(item, tiers, cache, asks)]
    say(f"{len(items) - len(todo)} of {len(items)} photos are known already")

    def load(item: Item) -> dict[str, _Loaded] | None:
        try:
            return _loaded(item.path.read_bytes(), prepare, spec)
        except (OSError, UnreadableImage) as error:
            say(f"{item.path} is left out: {error}")
            return None

    with ThreadPoolExecutor(2) as pool:
        for number, start in enumerate(range(0, len(todo), _CHUNK)):
            chunk = todo[start : start + _CHUNK]
            loaded = [
                (key_of(item), photo)
                for item, photo in zip(chunk, pool.map(load, chunk), strict=True)
                if photo is not None
            ]
            for tier in tiers if loaded else ():
                photos = [photo[tier] for _, photo in loaded]
                made = _rows(photos, scorer, asks, jpeg_quality)
                cache.rows(tier).update(zip((key for key, _ in loaded), made, strict=True))
            if number % _SAVE_EVERY == _SAVE_EVERY - 1:
                cache.save()
                say(f"{start + len(chunk)} of {len(todo)} photos in {len(tiers)} tiers")
    cache.save()
    return {tier: _gathered(items, cache.rows(tier)) for tier in tiers}


def key_of(item: Item) -> str:
    """Return what a photo's scores are kept under: its hash, and whether it is the original."""
    return f"{item.sha256}:{'original' if item.is_original else 'view'}"


def _missing(item: Item, tiers: Sequence[str], cache: Cache, asks: Asks | None) -> bool:
    for tier in tiers:
        row = cache.rows(tier).get(key_of(item))
        if row is None:
            return True
        # Kept under other thresholds, which did not ask for the second look.
        if asks and np.isnan(row["second"]) and asks(np.array([row["logit"]], np.float64))[0]:
            return True
    return False


def _loaded(data: bytes, prepare: Prepare, spec: PreprocessSpec | StackSpec) -> dict[str, _Loaded]:
    original = read_header(data).format
    found = {}
    for tier, file in prepare(data).items():
        header = read_header(file)
        if isinstance(spec, StackSpec):
            cut = stack(file, spec, MAX_PIXELS)
            pixels, tiles = cut.pixels, len(set(cut.boxes[1:]))
        else:
            pixels, tiles = preprocess(file, spec, MAX_PIXELS), 1
        facts = dict(
            zip(_FACTS, (header.width, header.height, len(file), tiles), strict=True),
        )
        found[tier] = _Loaded(pixels, facts, original)
    return found


def _rows(
    photos: Sequence[_Loaded], scorer: Scorer, asks: Asks | None, jpeg_quality: int
) -> list[_Row]:
    pixels = np.stack([photo.pixels for photo in photos])
    scores = scorer(pixels)
    second = np.full(len(photos), np.nan)
    asked = np.flatnonzero(asks(scores.logit)) if asks else np.array([], dtype=int)
    if len(asked):
        again = np.stack([_again(pixels[index], jpeg_quality) for index in asked])
        second[asked] = scorer(again).logit
    return [
        {
            "logit": scores.logit[index],
            "second": second[index],
            "view": scores.view[index],
            "tiles": scores.tiles[index],
            "tiles_seen": scores.tiles_seen[index],
            "embedding": np.zeros(0, np.float32)
            if scores.embedding is None
            else scores.embedding[index],
            "format": photo.format,
            **photo.facts,
        }
        for index, photo in enumerate(photos)
    ]


def _again(pixels: UInt8Array, quality: int) -> UInt8Array:
    """Return one photo's model input as the second look has it: each image saved again."""
    if pixels.ndim == 3:
        return reencode(pixels, quality)
    return np.stack([reencode(image, quality) for image in pixels])


def _gathered(items: Sequence[Item], rows: Mapping[str, _Row]) -> TierScores:
    found = [rows.get(key_of(item)) for item in items]

    def numbers(name: str) -> Floats:
        return np.array([np.nan if row is None else row[name] for row in found], np.float64)

    widths = {len(row["embedding"]) for row in found if row is not None} or {0}
    width = widths.pop()
    empty = np.full(width, np.nan, np.float32)
    embedding = np.array([empty if row is None else row["embedding"] for row in found], np.float32)
    logit, second, view, tiles = (numbers(name) for name in _NUMBERS)
    seen = np.array([row is not None and bool(row["tiles_seen"]) for row in found])
    return TierScores(
        PhotoScores(logit, view, tiles, seen, embedding if width else None),
        second,
        {
            name: np.array([0 if row is None else row[name] for row in found], np.int64)
            for name in _FACTS
        },
        np.array(["" if row is None else str(row["format"]) for row in found], np.str_),
    )
