"""The overlay shows sign and strength where they are; the numbers add up to the logit."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.ml.heatmap import explain, explain_stack, heatmap
from shared.ml.preprocess import stack_and_photo
from shared.ml.spec import StackSpec
from shared.ml.stack import Box, Stack


def rendered(png):
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image).astype(int)


@pytest.fixture
def pixels():
    return np.full((64, 96, 3), 128, np.uint8)


def test_the_mean_of_the_cells_is_the_logit(pixels):
    evidence = np.random.default_rng(0).normal(0, 3, (8, 12)).astype(np.float32)
    result = explain(1.25, evidence, pixels)
    assert result.cells.mean() == pytest.approx(1.25, abs=1e-5)
    assert np.ptp(result.cells - evidence) == pytest.approx(0, abs=1e-5)
    assert (result.height, result.width) == (64, 96)
    assert rendered(result.png).shape == (64, 96, 3)


def test_orange_pulls_to_generated_and_blue_to_real(pixels):
    evidence = np.zeros((2, 2), np.float32)
    evidence[0, 0], evidence[1, 1] = 4, -4
    red, _, blue = np.moveaxis(rendered(heatmap(evidence, pixels)), -1, 0)
    assert red[0, 0] > blue[0, 0] + 50
    assert blue[-1, -1] > red[-1, -1] + 50
    assert np.abs(red - blue)[0, -1] < 10  # no evidence, no colour


def test_weak_evidence_looks_weak(pixels):
    strong, weak = (
        rendered(heatmap(np.full((2, 2), value, np.float32), pixels)) for value in (2.0, 0.1)
    )
    assert np.abs(weak - 128).max() < np.abs(strong - 128).max() / 5


def test_the_photos_own_colours_are_no_evidence():
    colourful = np.zeros((32, 32, 3), np.uint8)
    colourful[..., 0] = 255
    picture = rendered(heatmap(np.zeros((2, 2), np.float32), colourful))
    assert np.ptp(picture, axis=-1).max() == 0


def test_broken_evidence_becomes_no_picture(pixels):
    evidence = np.full((2, 2), np.nan, np.float32)
    with pytest.raises(ValueError, match="finite"):
        explain(0.0, evidence, pixels)


def placed(boxes, width, height):
    """A stack whose images lie at `boxes`, (left, top, side)."""
    pixels = np.zeros((len(boxes), 64, 64, 3), np.uint8)
    return Stack(pixels, tuple(Box(*each) for each in boxes), width, height)


def test_maps_lie_where_their_images_do_as_dense_as_these_are_small():
    photo = np.full((50, 100, 3), 128, np.uint8)
    stack = placed([(50, 0, 100), (0, 0, 20)], 200, 100)
    view, tile = np.full((4, 4), 1.0, np.float32), np.full((4, 4), 0.5, np.float32)
    result = explain_stack(1.5, [view, tile], stack, photo)
    assert result.cells.shape == (50, 100)
    # Half the canvas is the view's, a fiftieth the tile's; no constant is left for the rest.
    assert result.cells[:, 25:75] == pytest.approx(2.0, abs=1e-5)
    assert result.cells[:10, :10] == pytest.approx(25.0, abs=1e-4)
    assert result.cells[20:, :20] == pytest.approx(0.0, abs=1e-5)
    alone = explain_stack(3.0, [view], stack, photo)
    assert alone.cells[0, 0] == pytest.approx(2.0, abs=1e-5)  # the constant, everywhere
    assert alone.cells.mean() == pytest.approx(3.0, abs=1e-5)


def test_what_is_reflected_pulls_where_it_came_from():
    """A tile over a photo half its side: its corner cell lies on the photo's middle."""
    stack = placed([(0, 0, 32), (-16, -16, 64)], 32, 32)
    tile = np.zeros((64, 64), np.float32)
    tile[0, 16 + 5] = 1.0  # 16 rows above the edge: row 16, reflected; column 5
    photo = np.zeros((32, 32, 3), np.uint8)
    nothing = np.zeros((4, 4), np.float32)
    cells = explain_stack(0.0, [nothing, tile], stack, photo).cells
    assert np.unravel_index(cells.argmax(), cells.shape) == (16, 5)
    assert (cells - cells.min()).sum() == pytest.approx(32 * 32 / 64**2, rel=1e-4)


def test_a_picture_of_a_huge_photo_is_small():
    data = io.BytesIO()
    Image.new("RGB", (3000, 1000), "red").save(data, "JPEG")
    spec = StackSpec(size=64, tiles=2)
    stack, photo = stack_and_photo(data.getvalue(), spec, 768)
    assert photo.shape == (256, 768, 3)
    assert (stack.width, stack.height) == (3000, 1000)
    maps = [np.ones((4, 4), np.float32)] * 3
    assert explain_stack(3.0, maps, stack, photo).cells.shape == (256, 768)
