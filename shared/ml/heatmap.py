"""A picture of where a photo's logit comes from.

The evidence is the map of `shared.ml.network.Detector.explained`: its mean over
the cells plus a constant is the logit, so a cell says exactly how much it pulled, and which way.
Of a view and tiles there is a map each; they are laid over the whole photo, where they belong.
It is no map of manipulated regions: a cell's receptive field is far larger than the cell.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.ml.stack import Box, Stack

UInt8Array = NDArray[np.uint8]
Evidence = NDArray[np.float32]

# Blue pulls to real, orange to AI-generated: apart for every common colour blindness
# (Okabe and Ito 2008).
_REAL = np.array([0, 114, 178], np.float32)
_GENERATED = np.array([230, 159, 0], np.float32)
# Opacity of the strongest cell; the photo must stay recognisable below it.
_OPACITY = 0.65
# Long side of the picture of a view and tiles, pixels.
PICTURE_LONG = 768
# Logits at which a cell has full colour at least: weak evidence must look weak.
_SMALLEST_SCALE = 2.0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Why one photo got its logit.

    `cells` float32 `[h, w]`: each cell's pull in logits, above 0 towards AI-generated. Their mean
    is the logit: the network's constant is spread over them evenly. `png` is their picture over
    what the network saw of the photo, `height` x `width` pixels. Of a view and tiles the cells are
    the picture's own pixels, and it shows the whole photo.
    """

    logit: float
    cells: Evidence
    png: bytes
    height: int
    width: int


def explain(logit: float, evidence: Evidence, pixels: UInt8Array) -> Heatmap:
    """Return the heatmap of one photo.

    Args:
        logit: the network's output for the photo.
        evidence: its second output, float32 `[h, w]`.
        pixels: the model input uint8 `[H, W, 3]` that gave both.

    Raises ValueError when a value is not finite.
    """
    # mean(evidence) + bias = logit: the network's bias need not be known.
    return _drawn(logit, evidence, pixels)


def explain_stack(
    logit: float, maps: Sequence[Evidence], stack: Stack, photo: UInt8Array
) -> Heatmap:
    """Return the heatmap of one photo that was judged by a view and tiles.

    Args:
        logit: the package's logit.
        maps: evidence float32 `[h, w]` of the stack's first images, in its order: of the view, and
            of the tiles where they were looked at. Their means and a constant add up to the logit.
        stack: what the maps are of.
        photo: the whole upright photo uint8 `[H, W, 3]`, at whatever size the picture should have.

    Raises ValueError when a value is not finite.
    """
    canvas = np.zeros(photo.shape[:2], np.float64)
    scale = photo.shape[1] / stack.width, photo.shape[0] / stack.height
    for evidence, box in zip(maps, stack.boxes, strict=False):
        _spread(evidence, box, scale, canvas)
    return _drawn(logit, canvas.astype(np.float32), photo)


def _spread(
    evidence: Evidence, box: Box, scale: tuple[float, float], canvas: NDArray[np.float64]
) -> None:
    """Add a map to the `canvas` `[H, W]`, so that the canvas' mean grows by the map's.

    `scale` is how many of its columns and rows one pixel of the photo is. What lies beyond the
    photo's edge is a reflection, and its pull goes to where the pixels came from.
    """
    columns, rows = (
        _places(start * each, (start + box.side) * each, length)
        for start, each, length in zip(
            (box.left, box.top), scale, reversed(canvas.shape), strict=True
        )
    )
    size = len(columns), len(rows)
    smooth = np.asarray(Image.fromarray(evidence).resize(size, Image.Resampling.BILINEAR))
    pulls = smooth + (evidence.mean(dtype=np.float64) - smooth.mean(dtype=np.float64))
    np.add.at(canvas, (rows[:, None], columns), pulls * (canvas.size / pulls.size))


def _places(start: float, end: float, length: int) -> NDArray[np.intp]:
    """Return which of `length` places each from `start` to `end` is, as reflections have it."""
    first = min(round(start), length - 1)
    places = np.arange(first, max(round(end), first + 1))
    period = max(1, 2 * (length - 1))
    folded = places % period
    return np.minimum(folded, period - folded) if length > 1 else np.zeros_like(places)


def _drawn(logit: float, evidence: Evidence, pixels: UInt8Array) -> Heatmap:
    cells = (evidence + (logit - float(evidence.mean(dtype=np.float64)))).astype(np.float32)
    if not np.isfinite(cells).all():
        raise ValueError("the evidence holds values that are not finite")
    return Heatmap(logit, cells, heatmap(cells, pixels), *pixels.shape[:2])


def heatmap(evidence: Evidence, pixels: UInt8Array) -> bytes:
    """Return a PNG of `evidence` float32 `[h, w]` laid over `pixels` uint8 `[H, W, 3]`.

    Orange where evidence is above 0, blue where it is below, clear at 0.
    """
    height, width = pixels.shape[:2]
    smooth = np.asarray(
        Image.fromarray(evidence).resize((width, height), Image.Resampling.BILINEAR)
    )
    scale = max(_SMALLEST_SCALE, float(np.abs(evidence).max()))
    strength = np.clip(np.abs(smooth) / scale, 0, 1)[..., None] * _OPACITY
    colour = np.where(smooth[..., None] > 0, _GENERATED, _REAL)
    # Grey below the colours, or the photo's own orange and blue would be taken for evidence.
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float32)[..., None]
    mixed = grey * (1 - strength) + colour * strength
    buffer = io.BytesIO()
    Image.fromarray(np.round(mixed).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
