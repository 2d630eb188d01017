"""Where the view and the tiles of a photo lie, and what is in them."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.ml.preprocess import preprocess, stack
from shared.ml.spec import StackSpec
from shared.ml.stack import Box, _native, stack_of

SPEC = StackSpec(size=32, tiles=2, grid=4, max_long=256)


def noisy(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(height, width):
    return np.full((height, width, 3), 128, np.uint8)


def test_tiles_go_to_the_texture_and_ties_take_the_first():
    pixels = grey(128, 128)
    pixels[96:, 96:] = noisy(32, 32)
    made = stack_of(Image.fromarray(pixels), SPEC)
    assert made.pixels.shape == SPEC.shape
    assert made.boxes == (Box(0, 0, 128), Box(96, 96, 32), Box(0, 0, 32))
    assert (made.width, made.height) == (128, 128)
    assert np.array_equal(made.pixels[1], pixels[96:, 96:])
    assert np.array_equal(made.pixels[2], pixels[:32, :32])


def test_a_blank_photo_gives_its_first_tiles():
    made = stack_of(Image.fromarray(grey(128, 128)), SPEC)
    assert made.boxes[1:] == (Box(0, 0, 32), Box(32, 0, 32))


def test_more_texture_comes_first():
    pixels = grey(128, 128)
    pixels[:32, :32] = 128 + noisy(32, 32) // 16
    pixels[64:96, 32:64] = noisy(32, 32)
    made = stack_of(Image.fromarray(pixels), SPEC)
    assert made.boxes[1:] == (Box(32, 64, 32), Box(0, 0, 32))


def test_the_view_is_the_centre_square():
    pixels = grey(64, 192)
    pixels[:, :64], pixels[:, 128:] = 0, 255
    made = stack_of(Image.fromarray(pixels), SPEC)
    assert made.boxes[0] == Box(64, 0, 64)
    # But for the two columns that the filter fills from both sides of the border.
    assert (made.pixels[0][:, 2:-2] == 128).all()


def test_a_small_photo_repeats_its_tiles_in_turn_and_reflects():
    pixels = noisy(20, 40)
    made = stack_of(Image.fromarray(pixels), StackSpec(size=32, tiles=5, grid=4))
    assert {box.left for box in made.boxes[1:]} == {0, 8}
    assert {box.top for box in made.boxes[1:]} == {-6}
    assert made.boxes[1:3] == made.boxes[3:5]
    assert made.boxes[5] == made.boxes[1]
    left = int(made.boxes[1].left)
    expected = np.pad(pixels[:, left : left + 32], ((6, 6), (0, 0), (0, 0)), mode="reflect")
    assert np.array_equal(made.pixels[1], expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (33, 1)])
def test_a_photo_of_a_few_pixels_fills_its_tiles(size):
    width, height = size
    pixels = noisy(height, width)
    made = stack_of(Image.fromarray(pixels), SPEC)
    assert made.pixels.shape == SPEC.shape
    known = {tuple(pixel) for pixel in pixels.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in made.pixels[1:].reshape(-1, 3)} <= known


def test_boxes_are_in_the_photos_own_pixels_where_it_was_reduced():
    pixels = grey(256, 512)
    pixels[192:, 448:] = noisy(64, 64)
    made = stack_of(Image.fromarray(pixels), SPEC)
    assert made.boxes[0] == Box(128, 0, 256)
    assert made.boxes[1] == Box(448, 192, 64)
    assert made.boxes[2] == Box(0, 0, 64)
    assert made.pixels[1].std() > 10


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (30_000, 10), (4000, 3000)])
def test_work_is_bounded_whatever_the_sides(size):
    spec = StackSpec(size=64, tiles=4)
    photo = Image.new("RGB", size, (10, 200, 30))
    native, scale = _native(photo, spec.max_long)
    assert max(native.shape[:2]) == spec.max_long
    assert scale == max(size) / spec.max_long
    made = stack_of(photo, spec)
    assert made.pixels.shape == spec.shape
    assert (made.pixels == (10, 200, 30)).all()
    for box in made.boxes[1:]:
        assert box.side == 64 * scale
        # Within the photo, but for what is reflected where it is smaller than a tile.
        for start, side in ((box.left, size[0]), (box.top, size[1])):
            assert start >= -max(0, box.side - side)
            assert start + box.side <= max(side, box.side) + scale


def test_a_grid_of_one_takes_the_middle():
    spec = StackSpec(size=32, tiles=2, grid=1)
    made = stack_of(Image.fromarray(noisy(96, 64)), spec)
    assert made.boxes[1:] == (Box(16, 32, 32), Box(16, 32, 32))


def test_the_same_bytes_make_the_same_stack_upright():
    pixels = noisy(90, 140)
    plain, turned = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(plain, "PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    # Orientation 6 is shown turned to the right: stored turned to the left, it is upright again.
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(turned, "PNG", exif=exif)
    first = stack(plain.getvalue(), SPEC)
    second = stack(turned.getvalue(), SPEC)
    assert first.boxes == second.boxes
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(preprocess(plain.getvalue(), SPEC), first.pixels)
    assert first.pixels.dtype == np.uint8
