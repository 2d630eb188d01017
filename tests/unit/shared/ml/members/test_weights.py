"""Int8 weights: how far they are from the floats, and that a file keeps them."""

import numpy as np
import pytest

from shared.ml.errors import PackageError
from shared.ml.members.weights import dequantised, quantise, quantised, read_state, write_state


def floats(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "fc.weight": rng.normal(0, 1, (96, 64)).astype(np.float32),
        "conv.weight": (rng.normal(0, 1, (40, 16, 3, 3)) * 10.0).astype(np.float32),
        "small.weight": rng.normal(0, 1, (4, 4)).astype(np.float32),
        "norm.weight": rng.normal(0, 1, 8192).astype(np.float32),
        "pos_embed": rng.normal(0, 1, (1, 65, 128)).astype(np.float32),
    }


@pytest.mark.parametrize("key", ["fc.weight", "conv.weight"])
def test_rounding_is_at_most_half_a_scale(key):
    weights = floats()[key] * np.geomspace(1e-6, 1e4, len(floats()[key])).reshape(
        -1, *(1,) * (floats()[key].ndim - 1)
    ).astype(np.float32)
    stored, scale = quantise(weights)
    assert stored.dtype == np.int8
    assert scale.shape == (len(weights),)
    error = np.abs(dequantised({"w": stored, "w_scale": scale})["w"] - weights)
    allowed = 0.5 * scale * (1 + 1e-4)
    assert (error.reshape(len(weights), -1).max(1) <= allowed).all()
    # The largest of each row is kept, so no scale is wider than it must be.
    assert (np.abs(stored.reshape(len(weights), -1)).max(1) == 127).all()


def test_an_output_of_zeros_stays_zero():
    weights = np.ones((2, 4), np.float32)
    weights[1] = 0
    stored, scale = quantise(weights)
    assert not stored[1].any()
    assert scale[1] == 1


def test_only_large_weights_are_rounded():
    stored = quantised(floats())
    assert {key for key, value in stored.items() if value.dtype == np.int8} == {
        "fc.weight",
        "conv.weight",
    }
    for key in ("small.weight", "norm.weight", "pos_embed"):
        assert np.array_equal(stored[key], floats()[key])


def test_rounding_again_changes_no_integer():
    stored = quantised(floats())
    again = quantised(dequantised(stored))
    assert np.array_equal(stored["fc.weight"], again["fc.weight"])
    assert again["fc.weight_scale"] == pytest.approx(stored["fc.weight_scale"], rel=1e-6)


def test_a_file_gives_the_numbers_back_and_is_the_same_each_time(tmp_path):
    stored = quantised(floats())
    stored["half"] = np.array([0.1, 2.5], np.float16)
    write_state(stored, tmp_path / "a")
    write_state(dict(reversed(stored.items())), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found, expected = read_state(tmp_path / "a"), dequantised(stored)
    assert found.keys() == expected.keys() == {*floats(), "half"}
    assert all(np.array_equal(found[key], expected[key]) for key in found)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"\xff" * 8 + b[8:], lambda b: b""])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "view.safetensors"
    write_state(quantised(floats()), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PackageError, match=r"view\.safetensors cannot be read"):
        read_state(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PackageError, match=r"nowhere\.safetensors cannot be read"):
        read_state(tmp_path / "nowhere.safetensors")
