"""A picture of where a photo's logit comes from.

The evidence is the map of `shared.ml.network.Detector.explained`: its mean over
the cells plus a constant is the logit, so a cell says exactly how much it pulled, and which way.
It is no map of manipulated regions: a cell's receptive field is far larger than the cell.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

UInt8Array = NDArray[np.uint8]
Evidence = NDArray[np.float32]

# Blue pulls to real, orange to AI-generated: apart for every common colour blindness
# (Okabe and Ito 2008).
_REAL = np.array([0, 114, 178], np.float32)
_GENERATED = np.array([230, 159, 0], np.float32)
# Opacity of the strongest cell; the photo must stay recognisable below it.
_OPACITY = 0.65
# Logits at which a cell has full colour at least: weak evidence must look weak.
_SMALLEST_SCALE = 2.0


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Why one photo got its logit.

    `cells` float32 `[h, w]`: each cell's pull in logits, above 0 towards AI-generated. Their mean
    is the logit: the network's constant is spread over them evenly. `png` is their picture over
    what the network saw of the photo, `height` x `width` pixels.
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
    cells = (evidence + (logit - float(evidence.mean()))).astype(np.float32)
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
