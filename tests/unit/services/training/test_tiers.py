import io

import numpy as np
import pytest
from PIL import Image

from services.training.tiers import TIERS


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
