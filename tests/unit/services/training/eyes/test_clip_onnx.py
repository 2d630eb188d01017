"""CLIP's encoder read out of a quantised ONNX file made here, named as the real one."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from services.training.errors import TrainingError
from services.training.eyes.clip_onnx import read_clip_encoder
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import dequantised
from shared.ml.package import sha256_file

WIDTH, PATCH, PATCHES, BLOCKS = 64, 8, 4, 2
LINEARS = {
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.k_proj": (WIDTH, WIDTH),
    "self_attn.v_proj": (WIDTH, WIDTH),
    "self_attn.out_proj": (WIDTH, WIDTH),
    "mlp.fc1": (WIDTH, 4 * WIDTH),
    "mlp.fc2": (4 * WIDTH, WIDTH),
}


class Encoder:
    """Tensors and nodes of a file, and the numbers `[out, in]` that each linear layer means."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.tensors, self.nodes, self.numbers = {}, [], {}
        stem = "vision_model.embeddings"
        for name, shape in {
            f"{stem}.class_embedding": (WIDTH,),
            f"{stem}.position_embedding.weight": (1 + PATCHES, WIDTH),
            f"{stem}.patch_embedding.weight": (WIDTH, 3, PATCH, PATCH),
            "vision_model.pre_layrnorm.weight": (WIDTH,),
            "vision_model.pre_layrnorm.bias": (WIDTH,),
        }.items():
            self.tensors[name] = rng.normal(0, 1, shape).astype(np.float32)
        for number in range(BLOCKS):
            layer = f"vision_model.encoder.layers.{number}"
            for norm in ("layer_norm1", "layer_norm2"):
                for kind in ("weight", "bias"):
                    value = rng.normal(0, 1, WIDTH).astype(np.float32)
                    self.tensors[f"{layer}.{norm}.{kind}"] = value
            for name, (into, out) in LINEARS.items():
                self.linear(rng, number, name, into, out)

    def linear(self, rng, number, name, into, out):
        layer = f"vision_model.encoder.layers.{number}.{name}"
        self.tensors[f"{layer}.bias"] = rng.normal(0, 1, out).astype(np.float32)
        stem = f"onnx::MatMul_{len(self.nodes)}"
        # As ONNX Runtime writes them: unsigned around a zero point, one scale for the layer.
        weight = rng.integers(70, 200, (into, out)).astype(np.uint8)
        zero, scale = np.uint8(128), np.float32(0.01 * (1 + len(self.nodes)))
        self.tensors[f"{stem}_quantized"] = weight
        self.tensors[f"{stem}_scale"] = np.array(scale)
        self.tensors[f"{stem}_zero_point"] = np.array(zero)
        self.numbers[number, name] = (weight.astype(np.float32) - 128).T * scale
        path = f"/vision_model/encoder/layers.{number}/{name.replace('.', '/')}/MatMul_quant"
        inputs = ["x_quantized", f"{stem}_quantized", "x_zero_point", f"{stem}_zero_point"]
        self.nodes.append(helper.make_node("MatMulInteger", inputs, [f"{stem}_out"], name=path))

    def write(self, path):
        x = helper.make_tensor_value_info("x_quantized", TensorProto.UINT8, [1, WIDTH])
        y = helper.make_tensor_value_info("y", TensorProto.INT32, [1, WIDTH])
        tensors = [numpy_helper.from_array(value, name) for name, value in self.tensors.items()]
        # Nodes of other kinds are passed over.
        nodes = [helper.make_node("Identity", ["x_quantized"], ["y"], name="/other"), *self.nodes]
        onnx.save(helper.make_model(helper.make_graph(nodes, "clip", [x], [y], tensors)), str(path))
        return path


@pytest.fixture
def encoder():
    return Encoder()


def test_the_numbers_are_those_of_the_file(encoder, tmp_path):
    path = encoder.write(tmp_path / "clip.onnx")
    state = read_clip_encoder(path, BLOCKS, sha256_file(path))
    found = dequantised(state)
    for number in range(BLOCKS):
        block = f"blocks.{number}"
        assert state[f"{block}.attn.qkv.weight"].dtype == np.int8
        qkv = np.concatenate([encoder.numbers[number, f"self_attn.{n}_proj"] for n in "qkv"])
        assert found[f"{block}.attn.qkv.weight"] == pytest.approx(qkv, rel=1e-6)
        layer = f"vision_model.encoder.layers.{number}"
        biases = [encoder.tensors[f"{layer}.self_attn.{n}_proj.bias"] for n in "qkv"]
        assert np.array_equal(found[f"{block}.attn.qkv.bias"], np.concatenate(biases))
        for old, new in (("self_attn.out_proj", "attn.proj"), ("mlp.fc1", "mlp.fc1")):
            expected = encoder.numbers[number, old]
            assert found[f"{block}.{new}.weight"] == pytest.approx(expected, rel=1e-6)
        assert np.array_equal(
            found[f"{block}.norm2.bias"], encoder.tensors[f"{layer}.layer_norm2.bias"]
        )
    embedding = encoder.tensors["vision_model.embeddings.position_embedding.weight"]
    assert np.array_equal(found["pos_embed"][0], embedding)
    network = ViewNetwork.from_weights(found, 1)
    assert len(network.blocks) == BLOCKS


def test_fewer_blocks_are_read_alone(encoder, tmp_path):
    state = read_clip_encoder(encoder.write(tmp_path / "clip.onnx"), 1, None)
    assert not [key for key in state if key.startswith("blocks.1.")]
    assert [key for key in state if key.startswith("blocks.0.")]


def test_another_file_is_refused(encoder, tmp_path):
    path = encoder.write(tmp_path / "clip.onnx")
    with pytest.raises(TrainingError, match=r"clip\.onnx is not the encoder"):
        read_clip_encoder(path, BLOCKS)


def test_a_missing_layer_is_named(encoder, tmp_path):
    encoder.nodes = [node for node in encoder.nodes if "layers.1/mlp/fc2" not in node.name]
    path = encoder.write(tmp_path / "clip.onnx")
    with pytest.raises(TrainingError, match=r"no quantised layer .*layers\.1\.mlp\.fc2"):
        read_clip_encoder(path, BLOCKS, None)


@pytest.mark.parametrize(
    "name", ["vision_model.embeddings.class_embedding", "onnx::MatMul_3_scale"]
)
def test_a_missing_tensor_is_named(encoder, tmp_path, name):
    del encoder.tensors[name]
    path = encoder.write(tmp_path / "clip.onnx")
    with pytest.raises(TrainingError, match=f"no tensor {name}"):
        read_clip_encoder(path, BLOCKS, None)


def test_weights_too_far_from_their_zero_point_are_refused(encoder, tmp_path):
    encoder.tensors["onnx::MatMul_0_zero_point"] = np.array(np.uint8(10))
    path = encoder.write(tmp_path / "clip.onnx")
    with pytest.raises(TrainingError, match=r"q_proj do not fit int8"):
        read_clip_encoder(path, BLOCKS, None)
