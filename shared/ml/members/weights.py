"""Weights of a member: int8 with scales, or float16, in one safetensors file for every runtime.

A linear or convolution weight is stored as int8 `[out, ...]` beside float32 `[out]` under
`<key>_scale`: row i is `weight[i] * scale[i]`. Torch and OpenVINO multiply them out to the same
float32 numbers, so the runtimes cannot disagree about what was packaged.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from shared.ml.errors import PackageError

State = dict[str, NDArray[np.generic]]
Floats = dict[str, NDArray[np.float32]]

SCALE = "_scale"
_LARGEST = 127


def quantise(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 weights and float32 scales `[out]`: symmetric, a scale for each output.

    Weights float32 `[out, ...]`; an output of zeros gets scale 1.
    """
    flat = weights.reshape(len(weights), -1)
    scale = np.abs(flat).max(axis=1) / _LARGEST
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    rounded = np.clip(np.round(flat / scale[:, None]), -_LARGEST, _LARGEST).astype(np.int8)
    return rounded.reshape(weights.shape), scale


def quantised(state: Mapping[str, NDArray[np.float32]]) -> State:
    """Return `state` with every weight of two or more dimensions as int8 and scale.

    Embeddings that are added rather than multiplied (`cls_token`, `pos_embed`) stay float32.
    """
    stored: State = {}
    for key, value in state.items():
        if value.ndim >= 2 and key.endswith("weight") and value.size > 4096:
            stored[key], stored[f"{key}{SCALE}"] = quantise(value)
        else:
            stored[key] = np.asarray(value, np.float32)
    return stored


def halved(state: Mapping[str, NDArray[np.float32]]) -> State:
    """Return `state` with every weight of two or more dimensions as float16.

    For small networks, whose few weights cost little and whose statistics int8 would move.
    """
    return {
        key: np.asarray(value, np.float16 if value.ndim >= 2 else np.float32)
        for key, value in state.items()
    }


def dequantised(state: Mapping[str, NDArray[np.generic]]) -> Floats:
    """Return the float32 numbers that a stored state means, under the plain keys."""
    floats: Floats = {}
    for key, value in state.items():
        if key.endswith(SCALE):
            continue
        number = np.asarray(value, np.float32)
        scale = state.get(f"{key}{SCALE}")
        if scale is not None:
            shape = (-1, *(1,) * (number.ndim - 1))
            number = number * np.asarray(scale, np.float32).reshape(shape)
        floats[key] = number
    return floats


def write_state(state: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    """Write a safetensors file; the same state makes the same bytes."""
    path.write_bytes(save({key: np.ascontiguousarray(state[key]) for key in sorted(state)}))


def read_state(path: Path) -> Floats:
    """Return the float32 numbers of a stored state. Raises PackageError for an unreadable file."""
    try:
        return dequantised(load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise PackageError(f"the weights {path} cannot be read: {error}") from error
