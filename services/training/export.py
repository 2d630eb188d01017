"""From trained weights to the two forms that are served, and proof that they agree."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from services.training.errors import ParityError
from services.training.scoring import Predictor
from shared.ml.network import Detector, ExplainedDetector, build_backbone, has_evidence
from shared.ml.preprocess import UInt8Array
from shared.ml.spec import Normalization, PreprocessSpec

WEIGHTS_NAME = "model.safetensors"
XML_NAME = "model.xml"
BIN_NAME = "model.bin"

# Half of a percent point of probability at most: a quarter of the logit's difference.
PARITY_TOLERANCE = 0.02
# A processor with native bfloat16 computes in it, with 8 bits of mantissa: two to three decimal
# digits. Set from that alone; the development machine has no such processor to measure it on.
PARITY_TOLERANCE_BF16 = 0.15


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
    # What OpenVINO computed in on this machine: "f32" or "bf16".
    precision: str


def export(
    architecture: str,
    state: dict[str, torch.Tensor],
    normalization: Normalization,
    spec: PreprocessSpec,
    images: UInt8Array,
    directory: Path,
) -> Exported:
    """Write safetensors and OpenVINO IR, both with weights rounded to float16.

    Args:
        architecture: a name that `timm.create_model` knows.
        state: the backbone's state dict.
        normalization: goes into the graph.
        spec: fixes the graph's height and width; its batch stays dynamic.
        images: photos for the parity check, uint8 `[N, height, width, 3]`.
        directory: existing; files in it are overwritten.

    The graph has the outputs `logits` float32 `[N]` and, where the network ends in average pooling
    and a linear head, `evidence` float32 `[N, h, w]`: see `shared.ml.network.Detector.explained`.

    Raises ParityError when a logit differs by more than PARITY_TOLERANCE, or
    PARITY_TOLERANCE_BF16 where the processor computes in bfloat16.
    """
    weights = directory / WEIGHTS_NAME
    state = fold_batch_norm(architecture, state)
    rounded = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in state.items()
    }
    save_file(rounded, weights)
    weights.chmod(0o644)  # safetensors writes for its owner only
    backbone = build_backbone(architecture)
    backbone.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in rounded.items()}, strict=True
    )
    detector = Detector(backbone, normalization).eval()
    xml = directory / XML_NAME
    _save_ir(detector, spec, xml)
    return _checked(Exported(weights, xml, directory / BIN_NAME, *parity(detector, xml, images)))


def _checked(exported: Exported) -> Exported:
    allowed = PARITY_TOLERANCE_BF16 if exported.precision == "bf16" else PARITY_TOLERANCE
    if exported.parity_max_abs > allowed:
        raise ParityError(
            f"OpenVINO and torch differ by {exported.parity_max_abs:.4f} in a logit,"
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


def _save_ir(detector: Detector, spec: PreprocessSpec, xml: Path) -> None:
    explained = has_evidence(detector.backbone)
    exported = ExplainedDetector(detector) if explained else detector
    example = torch.zeros((2, spec.height, spec.width, 3), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        # torch 2.13 warns about a deprecated class of its own while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(exported, (example,), dynamic_shapes=({0: batch},))
        model = ov.convert_model(program)
    model.reshape([-1, spec.height, spec.width, 3])
    model.inputs[0].get_tensor().set_names({"images"})
    model.outputs[0].get_tensor().set_names({"logits"})
    if explained:
        model.outputs[1].get_tensor().set_names({"evidence"})
    ov.save_model(model, xml, compress_to_fp16=True)


def openvino_predictor(xml: Path, threads: int = 0) -> Predictor:
    """Return a function from uint8 `[N, H, W, 3]` to float32 logits `[N]` on the CPU."""
    compiled = _compile(xml, threads)

    def predict(batch: UInt8Array) -> NDArray[np.float32]:
        return np.array(compiled([batch])["logits"], dtype=np.float32)

    return predict


def _compile(xml: Path, threads: int = 0) -> ov.CompiledModel:
    """Compile in the processor's own choice of precision: bfloat16 where it is native."""
    config: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    return ov.Core().compile_model(xml, "CPU", config)


def inference_precision(compiled: ov.CompiledModel) -> str:
    """Return what a compiled graph computes in, "f32" or "bf16"."""
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def parity(detector: Detector, xml: Path, images: UInt8Array) -> tuple[float, float | None, str]:
    """Return the largest differences of the logits and of the evidence, and the precision."""
    compiled = _compile(xml)
    result = compiled([images])
    precision = inference_precision(compiled)
    with torch.inference_mode():
        if not has_evidence(detector.backbone):
            expected = detector(torch.from_numpy(images)).numpy()
            return float(np.abs(result["logits"] - expected).max()), None, precision
        logits, evidence = detector.explained(torch.from_numpy(images))
    return (
        float(np.abs(result["logits"] - logits.numpy()).max()),
        float(np.abs(result["evidence"] - evidence.numpy()).max()),
        precision,
    )
