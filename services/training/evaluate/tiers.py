"""What a photo goes through before it is judged in each evaluation tier."""

import hashlib
import io
from collections.abc import Callable

from PIL import Image

Tier = Callable[[bytes], bytes]


def _clean(data: bytes) -> bytes:
    return data


def _jpeg(quality: int) -> Tier:
    def encode(data: bytes) -> bytes:
        return _saved(_open(data), "JPEG", quality)  # Pillow's default subsampling, 4:2:0

    return encode


def _half(data: bytes) -> bytes:
    image = _open(data)
    size = max(1, image.width // 2), max(1, image.height // 2)
    return _saved(image.resize(size, Image.Resampling.LANCZOS), "JPEG", 90)


def _webp(data: bytes) -> bytes:
    return _saved(_open(data), "WEBP", 80)


def _screenshot(data: bytes) -> bytes:
    """Cut 6-10% of each side off at a place of chance, rescale by 0.7-0.9, save again.

    The photo's hash is the chance, so that a photo gets the same screenshot every time.
    """
    draws = [value / 255 for value in hashlib.sha256(data).digest()[:5]]
    image = _open(data)
    cut = 0.06 + 0.04 * draws[0]
    width, height = (max(1, round(side * (1 - cut))) for side in image.size)
    left, top = round(draws[1] * (image.width - width)), round(draws[2] * (image.height - height))
    scale = 0.7 + 0.2 * draws[3]
    shown = image.crop((left, top, left + width, top + height)).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    return _saved(shown, "PNG", 0) if draws[4] < 0.5 else _saved(shown, "JPEG", 85)


def _open(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _saved(image: Image.Image, fmt: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, quality=quality)
    return buffer.getvalue()


# clean: the stored bytes. q60, q40: saved again as JPEG. half: both sides halved (LANCZOS), then
# JPEG 90. webp: saved as WebP, quality 80. screenshot: edges cut off, rescaled (bilinear) by
# 0.7-0.9, saved as PNG or JPEG 85.
TIERS: dict[str, Tier] = {
    "clean": _clean,
    "q60": _jpeg(60),
    "q40": _jpeg(40),
    "half": _half,
    "webp": _webp,
    "screenshot": _screenshot,
}
