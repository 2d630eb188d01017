import io

import numpy as np
import pytest
from PIL import Image

from services.training.evaluate.tiers import TIERS


@pytest.fixture
def photo():
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((120, 80)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("tier", "fmt", "size"),
    [
        ("clean", "JPEG", (120, 80)),
        ("q60", "JPEG", (120, 80)),
        ("q40", "JPEG", (120, 80)),
        ("half", "JPEG", (60, 40)),
        ("webp", "WEBP", (120, 80)),
    ],
)
def test_each_tier_is_what_it_says(photo, tier, fmt, size):
    with Image.open(io.BytesIO(TIERS[tier](photo))) as image:
        assert (image.format, image.size) == (fmt, size)


def test_clean_is_untouched_and_lower_quality_is_smaller(photo):
    assert TIERS["clean"](photo) == photo
    assert len(TIERS["q40"](photo)) < len(TIERS["q60"](photo)) < len(photo)


def test_a_screenshot_is_cropped_and_rescaled_by_chance_but_the_same_each_time(photo):
    seen = set()
    for number in range(40):
        data = photo + bytes([number])  # another hash, the same picture
        taken = TIERS["screenshot"](data)
        assert taken == TIERS["screenshot"](data)
        with Image.open(io.BytesIO(taken)) as image:
            seen.add(image.format)
            width, height = image.size
        assert 120 * 0.9 * 0.7 - 1 <= width <= 120 * 0.94 * 0.9 + 1
        assert 80 * 0.9 * 0.7 - 1 <= height <= 80 * 0.94 * 0.9 + 1
    assert seen == {"PNG", "JPEG"}
