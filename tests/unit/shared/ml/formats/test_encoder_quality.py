"""JPEG quality from the quantisation tables alone, against Pillow's own encoder."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.ml.formats.encoder_quality import encoder_quality
from tests.support.photos import samples


def photo(mode="RGB", size=(40, 24)):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise).convert(mode)


def saved(image, fmt="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def test_every_quality_of_libjpeg_is_found():
    """From 1 to 100: Pillow writes with libjpeg's tables."""
    found = [encoder_quality(saved(photo(), quality=quality)) for quality in range(1, 101)]
    assert found == list(range(1, 101))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {}),
        ("CMYK", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0}),
        ("RGB", {"optimize": True, "comment": b"x" * 9000}),
    ],
)
def test_the_form_of_the_file_does_not_matter(mode, options):
    assert encoder_quality(saved(photo(mode), quality=73, **options)) == 73


def test_an_encoder_with_tables_of_its_own_gets_the_quality_of_like_strength():
    """Flat tables, as some cameras write them: the coarser, the lower."""
    found = [encoder_quality(saved(photo(), qtables=[[step] * 64] * 2)) for step in (2, 10, 40)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 90
    assert found[-1] < 80


@pytest.mark.parametrize("fmt", ["PNG", "WEBP", "GIF", "AVIF"])
def test_another_format_has_none(fmt):
    assert encoder_quality(saved(photo(), fmt)) is None


def test_damaged_headers_have_none_and_truncated_pixels_do_not_matter():
    whole = saved(photo(size=(200, 200)), quality=61)
    assert encoder_quality(whole[: len(whole) // 2]) == 61
    for end in (0, 3, 30, 200):
        assert encoder_quality(whole[:end]) is None
    table = whole.index(b"\xff\xdb")
    assert encoder_quality(whole[:table] + b"\xff\xdb\x00\x03\x00" + whole[table:]) is None


def test_the_sample_photos_have_one():
    assert all(40 <= (encoder_quality(data) or 0) <= 100 for _, data in samples())
