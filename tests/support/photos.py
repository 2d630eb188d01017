"""Photos for tests: the repository's samples, and images made on the spot."""

import csv
import io
from functools import cache

import numpy as np
from PIL import Image

from shared.core.settings import REPOSITORY_ROOT

SAMPLES = REPOSITORY_ROOT / "data" / "samples"


@cache
def samples() -> list[tuple[str, bytes]]:
    """Return (filename, bytes) of every sample photo."""
    with (SAMPLES / "samples.csv").open(newline="") as stream:
        names = [row["file"] for row in csv.DictReader(stream)]
    return [(name, (SAMPLES / name).read_bytes()) for name in names]


def smallest_sample() -> tuple[str, bytes]:
    """Return the sample of the fewest bytes, for servers with tight limits."""
    return min(samples(), key=lambda sample: len(sample[1]))


def jpeg(seed: int = 0, width: int = 320, height: int = 240, quality: int = 85) -> bytes:
    """Return a small JPEG whose bytes differ for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def truncated_jpeg(seed: int = 0) -> bytes:
    """Return a JPEG with a whole header whose scan ends half-way."""
    whole = jpeg(seed)
    return whole[: len(whole) // 2]
