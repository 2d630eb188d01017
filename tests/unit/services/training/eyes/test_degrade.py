"""Photos as marketplaces keep them: of any size, always decodable, drawn by the seed alone."""

import io

import numpy as np
import pytest
from PIL import Image

from services.training.eyes.degrade import MAX_LONG, bounded, degraded, kept


def photo(width, height):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image.format, image.size, dict(image.getexif())


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (37, 20), (300, 200), (1700, 400)])
def test_a_photo_of_any_size_is_kept_and_degraded(size):
    source = photo(*size)
    for seed in range(3):
        kind, found, exif = opened(kept(source, np.random.default_rng(seed)))
        assert kind == "JPEG"
        assert not exif
        assert max(found) == min(max(size), MAX_LONG)
        kind, found, _ = opened(degraded(source, np.random.default_rng(seed)))
        assert kind in {"JPEG", "WEBP"}
        assert min(found) >= 32


def test_the_same_seed_makes_the_same_file_and_others_differ():
    source = photo(240, 200)
    for change in (kept, degraded):
        files = [change(source, np.random.default_rng(seed)) for seed in (1, 1, 2, 3)]
        assert files[0] == files[1]
        assert len(set(files)) > 1


def test_both_kinds_of_file_are_made():
    source = photo(200, 200)
    kinds = {opened(degraded(source, np.random.default_rng(seed)))[0] for seed in range(20)}
    assert kinds == {"JPEG", "WEBP"}


def test_a_degraded_photo_keeps_its_short_side_in_bounds():
    source = photo(600, 400)
    for seed in range(10):
        _, size, _ = opened(degraded(source, np.random.default_rng(seed)))
        assert 180 <= min(size) <= 400 * 1.3


def test_bounding_never_enlarges():
    small = photo(30, 20)
    assert bounded(small, 40) is small
    assert bounded(small, 15).size == (15, 10)
    assert bounded(photo(900, 1), 100).size == (100, 1)
