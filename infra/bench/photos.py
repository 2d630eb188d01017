"""Photos of a listing's size, made from the samples, no two with the same bytes."""

import io
from functools import cache

from PIL import Image

from infra.local.demo import read_samples


def make_photos(count: int, short_side: int) -> list[bytes]:
    """Return `count` JPEGs (quality 85) of `short_side` pixels, each cropped differently."""
    return [_variant(number, short_side) for number in range(count)]


@cache
def _originals(short_side: int) -> list[Image.Image]:
    images = []
    for sample in read_samples():
        image = Image.open(sample.path).convert("RGB")
        scale = (short_side + 40) / min(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        images.append(image.resize(size, Image.Resampling.BICUBIC))
    return images


def _variant(number: int, short_side: int) -> bytes:
    originals = _originals(short_side)
    image = originals[number % len(originals)]
    shift = number // len(originals)
    left, top = shift % 40, shift // 40 % 40
    buffer = io.BytesIO()
    box = (left, top, image.width - 40 + left, image.height - 40 + top)
    image.crop(box).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
