import io

import numpy as np
import pytest
from PIL import Image

from services.training.evaluation.tiers import HEADLINE, STEADY, TIERS, WORDS
from shared.ml.formats.encoder_quality import encoder_quality
from shared.ml.preprocess import upright


def photo(size):
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


LARGE = photo((2000, 1500))


@pytest.mark.parametrize(
    ("tier", "size", "quality"),
    [
        ("native", (1600, 1200), 92),
        ("web", (768, 576), 60),
        ("hard", (512, 384), 40),
        ("thumb", (300, 225), 75),
        ("reencoded", (1600, 1200), 75),
        ("half", (800, 600), 90),
    ],
)
def test_size_and_quality_of_each_tier(tier, size, quality):
    data = TIERS[tier](LARGE)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", size)
    assert encoder_quality(data) == quality
    assert TIERS[tier](LARGE) == data


@pytest.mark.parametrize("tier", HEADLINE)
def test_a_small_photo_keeps_its_size(tier):
    with Image.open(io.BytesIO(TIERS[tier](photo((120, 90))))) as image:
        assert image.size == (120, 90)


def test_half_of_one_pixel_is_one_pixel():
    with Image.open(io.BytesIO(TIERS["half"](Image.new("RGB", (1, 5))))) as image:
        assert image.size == (1, 2)


@pytest.mark.parametrize("tier", [*HEADLINE, *STEADY])
def test_nothing_but_pixels_is_kept(tier):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a camera's words"
    photo((64, 48)).save(file, "JPEG", comment=b"made by a generator", exif=exif, dpi=(300, 300))
    data = TIERS[tier](upright(file.getvalue()))
    assert b"generator" not in data
    assert b"Exif" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert not {"comment", "exif", "icc_profile", "dpi"} & set(image.info)


def test_every_tier_has_words():
    assert set(WORDS) == set(TIERS) == {*HEADLINE, *STEADY}
