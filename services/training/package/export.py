"""From trained weights to the two forms that are served, and proof that they agree."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from openvino import opset15 as opset
from safetensors.torch import save_file

from services.training.errors import ParityError, TrainingError
from services.training.evaluate.scoring import Predictor
from services.training.package.embedding import Pool, Projection
from shared.ml.network import (
    PROJECTION,
    Detector,
    ServedDetector,
    build_backbone,
    pooled_widths,
    take_projection,
)
from shared.ml.precision import TOLERANCES, Precision
from shared.ml.preprocess import UInt8Array
from shared.ml.spec import EmbeddingSpec, Normalization, PreprocessSpec

WEIGHTS_NAME = "model.safetensors"
XML_NAME = "model.xml"
BIN_NAME = "model.bin"

# Makes the projection of the network that is about to be exported; see `EmbeddingFit`.
Embed = Callable[[Pool, Sequence[int]], Projection]


@dataclass(frozen=True, slots=True)
class Exported:
    """Paths of the exported files and the largest differences between OpenVINO and torch."""

    weights: Path
    xml: Path
    bin: Path
    # Of a logit.
    parity_max_abs: float
    # Of a cell of the evidence; None for a network without that output.
    evidence_parity_max_abs: float | None
    # What OpenVINO computed in: all that is measured of the package is in this one.
    precision: Precision
    # Of a component; None without an embedding.
    embedding_parity_max_abs: float | None = None
    embedding: EmbeddingSpec | None = None


def export(
    architecture: str,
    state: dict[str, torch.Tensor],
    normalization: Normalization,
    spec: PreprocessSpec,
    images: UInt8Array,
    directory: Path,
    embed: Embed | None = None,
) -> Exported:
    """Write safetensors and OpenVINO IR, both with weights rounded to float16.

    Args:
        architecture: a name that `timm.create_model` knows.
        state: the backbone's state dict.
        normalization: goes into the graph.
        spec: fixes the graph's height and width; its batch stays dynamic.
        images: photos for the parity check, uint8 `[N, height, width, 3]`.
        directory: existing; files in it are overwritten.
        embed: fits the embedding to the rounded network; None exports without one.

    The graph has the outputs `logits` float32 `[N]`; where the network ends in average pooling
    and a linear head, `evidence` float32 `[N, h, w]`: see `shared.ml.network.Detector.explained`;
    with `embed`, `embedding` float32 `[N, D]`.

    Raises ParityError when a logit or a component of the embedding differs by more than
    `shared.ml.precision.TOLERANCES` allows in float32.
    """
    folded = fold_batch_norm(architecture, state)
    halves = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in folded.items()
    }
    return write(architecture, halves, normalization, spec, images, directory, embed)


def write(
    architecture: str,
    halves: dict[str, torch.Tensor],
    normalization: Normalization,
    spec: PreprocessSpec,
    images: UInt8Array,
    directory: Path,
    embed: Embed | None,
) -> Exported:
    """Write both forms of weights that are folded and rounded already; else as `export`."""
    backbone = build_backbone(architecture)
    backbone.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in halves.items()}, strict=True
    )
    detector = Detector(backbone, normalization).eval()
    model = _convert(detector, spec)
    projection = embed(_pool(model), pooled_widths(backbone)) if embed else None
    if projection:
        stored = {
            f"{PROJECTION}weight": torch.from_numpy(projection.weight).half(),
            f"{PROJECTION}bias": torch.from_numpy(projection.bias).half(),
        }
        halves = halves | stored
        detector.projection = take_projection(stored)
    weights, xml = directory / WEIGHTS_NAME, directory / XML_NAME
    save_file(halves, weights)
    weights.chmod(0o644)  # safetensors writes for its owner only
    _replace_pooled(model, projection)
    ov.save_model(model, xml, compress_to_fp16=True)
    apart = parity(detector, xml, images)
    return _checked(
        Exported(
            weights,
            xml,
            directory / BIN_NAME,
            apart["logits"],
            apart.get("evidence"),
            "f32",
            apart.get("embedding"),
            projection.spec if projection else None,
        )
    )


def _checked(exported: Exported) -> Exported:
    tolerance = TOLERANCES[exported.precision]
    for found, what, allowed in (
        (exported.parity_max_abs, "a logit", tolerance.logit),
        (
            exported.embedding_parity_max_abs or 0.0,
            "a component of the embedding",
            tolerance.embedding,
        ),
    ):
        if found > allowed:
            raise ParityError(
                f"OpenVINO and torch differ by {found:.4f} in {what},"
                f" allowed is {allowed} in {exported.precision}"
            )
    return exported


def fold_batch_norm(architecture: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Move each batch norm's scale into the convolution before it; keys and function stay.

    OpenVINO folds the scale while converting. Were the weights rounded to float16 before and
    again after that, its graph would not hold the weights that torch loads: 0.02 of a logit apart
    on 64 photos, against 0.001 with the scale folded before the only rounding.
    Each norm keeps its shift, and a variance that makes its scale 1.
    """
    backbone = build_backbone(architecture)
    folded = {key: value.clone() for key, value in state.items()}
    convolution = ""
    for name, module in backbone.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            convolution = name
        elif isinstance(module, torch.nn.BatchNorm2d):
            _fold(folded, convolution, name, module.eps)
    return folded


def _fold(state: dict[str, torch.Tensor], convolution: str, norm: str, eps: float) -> None:
    scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + eps)
    state[f"{convolution}.weight"] = state[f"{convolution}.weight"] * scale[:, None, None, None]
    state[f"{norm}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    state[f"{norm}.weight"] = torch.ones_like(scale)
    state[f"{norm}.running_mean"] = torch.zeros_like(scale)
    state[f"{norm}.running_var"] = torch.full_like(scale, 1.0 - eps)


def _convert(detector: Detector, spec: PreprocessSpec) -> ov.Model:
    """Return the graph with the outputs of `ServedDetector`, named."""
    served = ServedDetector(detector).eval()
    example = torch.zeros((2, spec.height, spec.width, 3), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        # torch 2.13 warns about a deprecated class of its own while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(served, (example,), dynamic_shapes=({0: batch},))
        model = ov.convert_model(program)
    model.reshape([-1, spec.height, spec.width, 3])
    model.inputs[0].get_tensor().set_names({"images"})
    for output, name in zip(model.outputs, served.names, strict=True):
        output.get_tensor().set_names({name})
    return model


def _pool(model: ov.Model) -> Pool:
    """Return a function that computes the output `pooled`, in single precision."""
    compiled = _compile(model)

    def pool(images: UInt8Array) -> NDArray[np.float32]:
        return np.array(compiled([images])["pooled"], dtype=np.float32)

    return pool


def _replace_pooled(model: ov.Model, projection: Projection | None) -> None:
    """Put the output `embedding`, if any, in the place of `pooled`."""
    (pooled,) = (
        each for each in model.get_results() if "pooled" in each.get_output_tensor(0).names
    )
    source = pooled.input_value(0)
    model.remove_result(pooled)
    source.get_tensor().set_names(set())
    if projection is None:
        return
    scaled = opset.matmul(source, opset.constant(projection.weight), False, True)
    embedding = opset.add(scaled, opset.constant(projection.bias[None]))
    embedding.output(0).get_tensor().set_names({"embedding"})
    model.add_results([opset.result(embedding)])


def openvino_predictor(xml: Path, threads: int = 0, precision: Precision = "f32") -> Predictor:
    """Return a function from uint8 `[N, H, W, 3]` to float32 logits `[N]` on the CPU."""
    compiled = compile_graph(xml, threads, precision)

    def predict(batch: UInt8Array) -> NDArray[np.float32]:
        return np.array(compiled([batch])["logits"], dtype=np.float32)

    return predict


def compile_graph(xml: Path, threads: int = 0, precision: Precision = "f32") -> ov.CompiledModel:
    """Return an OpenVINO graph, compiled for the CPU, that computes in `precision`.

    `precision` is "f32" or "bf16". Raises TrainingError when this processor does not follow.
    """
    return _compile(ov.Core().read_model(xml), threads, precision)


def _compile(model: ov.Model, threads: int = 0, precision: Precision = "f32") -> ov.CompiledModel:
    # Without the second hint a processor with native bfloat16 computes in that.
    config: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    compiled = ov.Core().compile_model(model, "CPU", config)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if taken != precision:
        raise TrainingError(f"OpenVINO computes in {taken} on this processor, not in {precision}")
    return compiled


def parity(
    detector: Detector, xml: Path, images: UInt8Array, precision: Precision = "f32"
) -> dict[str, float]:
    """Return the largest difference in each output of the graph, by its name."""
    result = compile_graph(xml, precision=precision)([images])
    served = ServedDetector(detector).eval()
    with torch.inference_mode():
        expected = dict(zip(served.names, served(torch.from_numpy(images)), strict=True))
        embedding = detector.embedding(expected.pop("pooled"))
    if embedding is not None:
        expected["embedding"] = embedding
    return {
        name: float(np.abs(result[name] - value.numpy()).max()) for name, value in expected.items()
    }
