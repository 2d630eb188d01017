"""A view's network small enough for tests: 4 blocks of width 128 over 64-pixel photos."""

from typing import Any

import numpy as np
import openvino as ov

from shared.ml.members.weights import Floats

WIDTH, PATCH, SIZE, BLOCKS, TRUNK_BLOCKS = 128, 16, 64, 4, 2
PATCHES = (SIZE // PATCH) ** 2


def tiny_view(seed: int = 0, *, head: bool = True) -> Floats:
    """Return random weights of all blocks under timm's key names, with a head or without."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float) -> np.ndarray[Any, Any]:
        return rng.normal(0, scale, shape).astype(np.float32)

    def norm(name: str) -> Floats:
        weight = rng.uniform(0.5, 1.5, WIDTH).astype(np.float32)
        return {f"{name}.weight": weight, f"{name}.bias": normal(WIDTH, scale=0.1)}

    def linear(name: str, out: int, into: int) -> Floats:
        weight = normal(out, into, scale=into**-0.5)
        return {f"{name}.weight": weight, f"{name}.bias": normal(out, scale=0.1)}

    state = {
        "cls_token": normal(1, 1, WIDTH, scale=1.0),
        "pos_embed": normal(1, 1 + PATCHES, WIDTH, scale=0.3),
        "patch_embed.proj.weight": normal(WIDTH, 3, PATCH, PATCH, scale=0.05),
    } | norm("norm_pre")
    for number in range(BLOCKS):
        name = f"blocks.{number}"
        state |= norm(f"{name}.norm1") | norm(f"{name}.norm2")
        state |= linear(f"{name}.attn.qkv", 3 * WIDTH, WIDTH)
        state |= linear(f"{name}.attn.proj", WIDTH, WIDTH)
        state |= linear(f"{name}.mlp.fc1", 4 * WIDTH, WIDTH)
        state |= linear(f"{name}.mlp.fc2", WIDTH, 4 * WIDTH)
    if head:
        state["head.weight"] = normal(BLOCKS * WIDTH, scale=0.1)
        state["head.bias"] = np.array([0.3], np.float32)
    return state


def trunk_of(weights: Floats) -> Floats:
    """Return the trunk's part of `tiny_view`."""
    upper = tuple(f"blocks.{number}." for number in range(TRUNK_BLOCKS, BLOCKS))
    return {k: v for k, v in weights.items() if not k.startswith((*upper, "head."))}


def compiled(outputs: list[Any], inputs: list[Any]) -> Any:
    """Compile an OpenVINO graph for the CPU in float32."""
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(ov.Model(outputs, inputs), "CPU", config)
