"""What a stored photo's file says about itself, and two fingerprints of what it shows."""

import io
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from services.training.data.cache import sha256_of
from services.training.data.sources.fetch import Tell
from shared.ml.errors import UnreadableImage
from shared.ml.preprocess import decode

# Side of the grey thumbnail that a perceptual hash's match must agree with, pixels.
THUMBNAIL = 16
# The hash and the thumbnail need no more than this short side, pixels.
_SHORT_SIDE = 300
# Luminance quantisation table of JPEG quality 50, row by row (ITU-T T.81, table K.1).
_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclass(frozen=True, slots=True)
class Facts:
    """One readable photo's file facts; sizes in pixels and bytes."""

    sha256: str
    format: str
    width: int
    height: int
    n_bytes: int
    # Quality that libjpeg would be given for this quantisation table; NaN for other formats.
    quality: float
    # 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0; -1 unknown or no JPEG.
    subsampling: int
    progressive: bool
    # 64-bit perceptual hash (DCT of 32x32 grey), and a standardised thumbnail float32 [256].
    phash: int
    thumbnail: NDArray[np.float32]


def inspect(path: Path) -> Facts | str:
    """Return a photo's facts, or why it cannot be read."""
    try:
        data = path.read_bytes()
        pixels = decode(data, _SHORT_SIDE)
        with Image.open(io.BytesIO(data)) as image:
            return _facts(data, image, Image.fromarray(pixels))
    except (OSError, UnreadableImage, Image.DecompressionBombError) as error:
        return f"{type(error).__name__}: {error}"


def inspect_all(paths: Sequence[Path], jobs: int, tell: Tell) -> list[Facts | str]:
    """Return facts in the order of `paths`; `tell` is called with (done, all)."""
    found: list[Facts | str] = []
    with ThreadPoolExecutor(jobs, thread_name_prefix="inspect") as pool:
        for facts in pool.map(inspect, paths):
            found.append(facts)
            tell(len(found), len(paths))
    return found


def _facts(data: bytes, image: Image.Image, upright: Image.Image) -> Facts:
    jpeg = image if isinstance(image, JpegImagePlugin.JpegImageFile) else None
    hashed = imagehash.phash(upright).hash
    return Facts(
        sha256=sha256_of(data),
        format=image.format or "",
        width=image.width,
        height=image.height,
        n_bytes=len(data),
        quality=jpeg_quality(jpeg.quantization[0]) if jpeg else math.nan,
        subsampling=JpegImagePlugin.get_sampling(jpeg) if jpeg else -1,
        progressive="progressive" in image.info,
        phash=int.from_bytes(np.packbits(hashed).tobytes(), "big"),
        thumbnail=_thumbnail(upright),
    )


def jpeg_quality(table: Sequence[int]) -> float:
    """Estimate libjpeg's quality (1 to 100) from the 64 entries of a luminance table, row by row.

    Exact for tables of libjpeg's own scaling, else the nearest of them in absolute difference.
    """
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    tables = np.clip((_LUMINANCE[None] * scale[:, None] + 50) // 100, 1, 255)
    return float(qualities[np.abs(tables - np.asarray(table)[None]).sum(axis=1).argmin()])


def _thumbnail(image: Image.Image) -> NDArray[np.float32]:
    small = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    values = np.asarray(small, dtype=np.float32).ravel()
    values = values - values.mean()
    norm = float(np.linalg.norm(values))
    # A flat photo agrees with nothing: its hash is noise.
    return values / norm if norm > 1.0 else np.zeros_like(values)
