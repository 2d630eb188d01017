"""What a photo goes through before it is judged: the sizes and qualities that shops store.

Every tier starts from the upright pixels and saves them anew, so that no photo keeps its own
format, encoder or metadata: these would tell the classes apart before a pixel is looked at.
"""

import io
from collections.abc import Callable

from PIL import Image

from services.training.eyes.degrade import bounded, encoded

# Takes an upright RGB photo (`shared.ml.preprocess.upright`), returns a JPEG file without metadata.
Tier = Callable[[Image.Image], bytes]

NATIVE_QUALITY = 92


def _at_most(long: int, quality: int) -> Tier:
    def save(photo: Image.Image) -> bytes:
        return encoded(_bare(bounded(photo, long)), "JPEG", quality)

    return save


_native = _at_most(1600, NATIVE_QUALITY)


def _reencoded(photo: Image.Image) -> bytes:
    return encoded(_decoded(_native(photo)), "JPEG", 75)


def _half(photo: Image.Image) -> bytes:
    native = _decoded(_native(photo))
    size = max(1, native.width // 2), max(1, native.height // 2)
    return encoded(native.resize(size, Image.Resampling.LANCZOS), "JPEG", 90)


def _bare(photo: Image.Image) -> Image.Image:
    """Return the photo without what Pillow would write beside the pixels, such as a comment."""
    bare = photo.copy()
    bare.info = {}
    return bare


def _decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return _bare(image.convert("RGB"))


# Sizes are of the long side at most (LANCZOS), then a JPEG of that quality.
TIERS: dict[str, Tier] = {
    "native": _native,
    "web": _at_most(768, 60),
    "hard": _at_most(512, 40),
    "thumb": _at_most(300, 75),
    # What happens to a verdict when a `native` photo is saved again, or halved.
    "reencoded": _reencoded,
    "half": _half,
}
HEADLINE = ("native", "web", "hard", "thumb")
STEADY = ("reencoded", "half")
WORDS = {
    "native": "as uploaded (≤ 1600 px, JPEG 92)",
    "web": "shop page (≤ 768 px, JPEG 60)",
    "hard": "hard (≤ 512 px, JPEG 40)",
    "thumb": "thumbnail (≤ 300 px, JPEG 75)",
    "reencoded": "saved again (JPEG 75)",
    "half": "halved (JPEG 90)",
}
