"""What marketplaces do to photos before they store them, drawn alike for both classes."""

import io
import math

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

# Long side of what is kept, pixels: as `StackSpec.max_long`.
MAX_LONG = 1600
_FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def kept(photo: Image.Image, rng: np.random.Generator) -> bytes:
    """Save a photo nearly as it came: at most MAX_LONG pixels long, JPEG of quality 80 to 95.

    No file keeps its own format, or the format would tell the classes apart.
    """
    return encoded(bounded(photo, MAX_LONG), "JPEG", int(rng.integers(80, 96)))


def degraded(photo: Image.Image, rng: np.random.Generator) -> bytes:
    """Crop, rescale (0.25-1.3, at least 180 px short) and save a photo as JPEG or WebP q40-90.

    One in three is changed a little in brightness and contrast, one in six blurred or sharpened,
    one in five saved twice.
    """
    photo = bounded(photo, MAX_LONG)
    width, height = photo.size
    share = rng.uniform(0.75, 1.0)
    w, h = max(1, round(width * share)), max(1, round(height * share))
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    photo = photo.crop((left, top, left + w, top + h))
    short = min(photo.size)
    low, high = min(short, 180.0), max(min(short * 1.3, 1000.0), min(short, 180.0) + 1)
    scale = math.exp(rng.uniform(math.log(low), math.log(high))) / short
    size = tuple(max(32, round(side * scale)) for side in photo.size)
    photo = photo.resize((size[0], size[1]), _FILTERS[rng.integers(len(_FILTERS))])
    if rng.random() < 1 / 3:
        photo = ImageEnhance.Brightness(photo).enhance(rng.uniform(0.85, 1.15))
        photo = ImageEnhance.Contrast(photo).enhance(rng.uniform(0.85, 1.15))
    if rng.random() < 1 / 6:
        blur = ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9))
        photo = photo.filter(blur if rng.random() < 0.5 else ImageFilter.UnsharpMask(1, 60, 2))
    if rng.random() < 1 / 5:
        with Image.open(io.BytesIO(encoded(photo, "JPEG", int(rng.integers(70, 96))))) as again:
            photo = again.convert("RGB")
    kind = "WEBP" if rng.random() < 0.2 else "JPEG"
    return encoded(photo, kind, int(rng.integers(40, 91)))


def bounded(photo: Image.Image, most: int) -> Image.Image:
    """Bring the long side down to `most` pixels (LANCZOS); never enlarge."""
    long = max(photo.size)
    if long <= most:
        return photo
    width, height = (max(1, round(side * most / long)) for side in photo.size)
    return photo.resize((width, height), Image.Resampling.LANCZOS)


def encoded(photo: Image.Image, kind: str, quality: int) -> bytes:
    """Return a photo as a file of `kind`, without metadata."""
    buffer = io.BytesIO()
    photo.save(buffer, kind, quality=quality)
    return buffer.getvalue()
