"""What a photo goes through before it is judged in each evaluation tier."""

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


def _open(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _saved(image: Image.Image, fmt: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, quality=quality)
    return buffer.getvalue()


# clean: the stored bytes. q60, q40: saved again as JPEG. half: both sides halved (LANCZOS), then
# JPEG 90. webp: saved as WebP, quality 80.
TIERS: dict[str, Tier] = {
    "clean": _clean,
    "q60": _jpeg(60),
    "q40": _jpeg(40),
    "half": _half,
    "webp": _webp,
}
