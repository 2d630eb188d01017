import io

import numpy as np
import pytest
from PIL import Image

from services.training.data.validation.inspect import inspect, inspect_all, jpeg_quality


def write(path, quality=85, seed=0, **options):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
    image.save(path, quality=quality, **options)
    return path


@pytest.mark.parametrize("quality", [1, 30, 49, 50, 75, 82, 95, 100])
def test_the_quality_is_read_off_the_quantisation_table(quality):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        assert jpeg_quality(image.quantization[0]) == quality


def test_the_facts_of_a_jpeg_and_a_png(tmp_path):
    facts = inspect(write(tmp_path / "a.jpg", 75, progressive=True, subsampling=0))
    assert (facts.format, facts.width, facts.height, facts.quality) == ("JPEG", 320, 240, 75)
    assert (facts.subsampling, facts.progressive) == (0, True)
    assert facts.n_bytes == (tmp_path / "a.jpg").stat().st_size
    png = inspect(write(tmp_path / "a.png"))
    assert (png.format, png.subsampling, png.progressive) == ("PNG", -1, False)
    assert np.isnan(png.quality)


def test_fingerprints_survive_a_re_encode_and_tell_photos_apart(tmp_path):
    first = inspect(write(tmp_path / "a.jpg", 95))
    again = inspect(write(tmp_path / "b.jpg", 30))
    other = inspect(write(tmp_path / "c.jpg", 95, seed=1))
    assert (first.phash ^ again.phash).bit_count() <= 4
    assert float(first.thumbnail @ again.thumbnail) > 0.99
    assert (first.phash ^ other.phash).bit_count() > 12
    assert float(first.thumbnail @ other.thumbnail) < 0.9


def test_a_flat_photo_agrees_with_nothing(tmp_path):
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    assert not inspect(tmp_path / "white.png").thumbnail.any()


def test_unreadable_files_are_told_in_their_place(tmp_path):
    good = write(tmp_path / "good.jpg")
    (tmp_path / "text.jpg").write_bytes(b"hello")
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:1000])
    paths = [tmp_path / name for name in ("text.jpg", "good.jpg", "cut.jpg", "none.jpg")]
    steps = []
    found = inspect_all(paths, 2, lambda *step: steps.append(step))
    assert [isinstance(item, str) for item in found] == [True, False, True, True]
    assert "FileNotFoundError" in found[3]
    assert steps[-1] == (4, 4)
