"""Second edition of the model input: one view of the whole photo and a few native tiles.

The view shows what is in the photo; the tiles keep the pixels as they came, where most of a
generator's traces are. Both are one array `[1 + K, S, S, 3]`, the view first. Where they lie is a
pure function of the photo's size and pixels, the same in training and serving.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.ml.spec import StackSpec

UInt8Array = NDArray[np.uint8]

# Rows that a tile's texture is measured on: every fourth is as good, at a quarter of the cost.
_ROW_STEP = 4
# Pillow averages whole blocks first where the photo is at least four times too large.
_REDUCING_GAP = 2.0


@dataclass(frozen=True, slots=True)
class Box:
    """A square of the upright photo in its own pixels: corner (left, top) and side."""

    left: float
    top: float
    side: float


@dataclass(frozen=True, slots=True)
class Stack:
    """Model input uint8 `[1 + K, S, S, 3]`, and where each of its images lies in the photo.

    `width` and `height` are the upright photo's. A box may reach beyond a photo that is smaller
    than a tile: there the pixels are reflections.
    """

    pixels: UInt8Array
    boxes: tuple[Box, ...]
    width: int
    height: int


def stack_of(photo: Image.Image, spec: StackSpec) -> Stack:
    """Cut an upright RGB photo of any size into the view and `spec.tiles` tiles.

    - The view is the centre square, brought to `spec.size` (bicubic, up or down). Of a panorama
      that is its middle; the tiles see the rest.
    - Tiles come from the photo at its own size, or brought down to `spec.max_long` pixels on its
      long side (LANCZOS). Candidates stand evenly on a grid of at most `spec.grid` a side. Those
      with the most texture are taken, the first of equals: a blank background gives its first.
    - A photo with fewer candidates than tiles repeats them in turn, so every photo has K tiles.
      A side shorter than a tile is continued by reflection.
    """
    width, height = photo.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    view = photo.resize(
        (spec.size, spec.size),
        Image.Resampling.BICUBIC,
        box=(left, top, left + side, top + side),
        reducing_gap=_REDUCING_GAP,
    )
    native, scale = _native(photo, spec.max_long)
    corners = _tile_corners(native, spec)
    images = [np.asarray(view), *(_cut(native, corner, spec.size) for corner in corners)]
    boxes = [Box(left, top, side)]
    for x, y in corners:
        boxes.append(Box(x * scale, y * scale, spec.size * scale))
    return Stack(np.stack(images), tuple(boxes), width, height)


def _native(photo: Image.Image, max_long: int) -> tuple[UInt8Array, float]:
    """Return the photo's pixels, reduced if need be, and how many of its own pixels one is."""
    long = max(photo.size)
    if long <= max_long:
        return np.asarray(photo), 1.0
    scale = long / max_long
    width, height = (max(1, round(side / scale)) for side in photo.size)
    small = photo.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    return np.asarray(small), scale


def _tile_corners(native: UInt8Array, spec: StackSpec) -> list[tuple[int, int]]:
    """Return (left, top) of each tile, most texture first; negative where a photo is too small."""
    height, width = native.shape[:2]
    candidates = [
        (left, top)
        for top in _offsets(height, spec.size, spec.grid)
        for left in _offsets(width, spec.size, spec.grid)
    ]
    texture = [_texture(native, corner, spec.size) for corner in candidates]
    order = sorted(range(len(candidates)), key=lambda index: (-texture[index], index))
    chosen = [candidates[index] for index in order[: spec.tiles]]
    return [chosen[index % len(chosen)] for index in range(spec.tiles)]


def _offsets(side: int, size: int, most: int) -> list[int]:
    if side <= size:
        return [-((size - side) // 2)]
    count = min(most, max(2, side // size))
    if count == 1:
        return [(side - size) // 2]
    return [round(index * (side - size) / (count - 1)) for index in range(count)]


def _texture(native: UInt8Array, corner: tuple[int, int], size: int) -> int:
    """Return the sum of steps between neighbours in green, in whole numbers: exact anywhere."""
    left, top = (max(0, value) for value in corner)
    green = native[top : top + size : _ROW_STEP, left : left + size, 1].astype(np.int16)
    return int(np.abs(np.diff(green, axis=1)).sum(dtype=np.int64))


def _cut(native: UInt8Array, corner: tuple[int, int], size: int) -> UInt8Array:
    left, top = corner
    cut = native[max(0, top) : max(0, top) + size, max(0, left) : max(0, left) + size]
    if cut.shape[:2] == (size, size):
        return cut
    pads = []
    for start, length in ((top, cut.shape[0]), (left, cut.shape[1])):
        before = max(0, -start)
        pads.append((before, size - length - before))
    return np.pad(cut, [*pads, (0, 0)], mode="reflect")
