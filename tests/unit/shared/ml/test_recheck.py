import io

import numpy as np
from PIL import Image

from shared.ml.recheck import reencode


def test_it_is_a_jpeg_of_that_quality():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)  # Pillow's default is 4:2:0
    with Image.open(buffer) as image:
        expected = np.asarray(image)
    assert np.array_equal(reencode(pixels, 75), expected)


def test_a_better_quality_changes_less():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((128, 96)))
    original = pixels.copy()
    errors = [np.abs(reencode(pixels, q).astype(int) - pixels).mean() for q in (30, 75, 95)]
    assert errors[0] > errors[1] > errors[2] > 0
    assert np.array_equal(pixels, original)
