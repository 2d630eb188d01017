"""The overlay shows sign and strength where they are; the numbers add up to the logit."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.ml.heatmap import explain, heatmap


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
