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
from shared.ml.network import Detector, build_backbone
from shared.ml.preprocess import UInt8Array
from shared.ml.spec import Normalization, PreprocessSpec

WEIGHTS_NAME = "model.safetensors"
XML_NAME = "model.xml"
BIN_NAME = "model.bin"

# Half of a percent point of probability at most: a quarter of the logit's difference.
PARITY_TOLERANCE = 0.02


@dataclass(frozen=True, slots=True)
class Exported:
    """Paths of the exported files and the largest difference of their logits."""

    weights: Path
    xml: Path
    bin: Path
    parity_max_abs: float


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

    Raises ParityError when a logit differs by more than PARITY_TOLERANCE.
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
    difference = parity(detector, openvino_predictor(xml), images)
    if difference > PARITY_TOLERANCE:
        raise ParityError(
            f"OpenVINO and torch differ by {difference:.4f} in a logit,"
            f" allowed is {PARITY_TOLERANCE}"
        )
    return Exported(weights, xml, directory / BIN_NAME, difference)


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
    example = torch.zeros((2, spec.height, spec.width, 3), dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        # torch 2.13 warns about a deprecated class of its own while it copies the program.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(detector, (example,), dynamic_shapes=({0: batch},))
        model = ov.convert_model(program)
    model.reshape([-1, spec.height, spec.width, 3])
    model.inputs[0].get_tensor().set_names({"images"})
    model.outputs[0].get_tensor().set_names({"logits"})
    ov.save_model(model, xml, compress_to_fp16=True)


def openvino_predictor(xml: Path, threads: int = 0) -> Predictor:
    """Return a function from uint8 `[N, H, W, 3]` to float32 logits `[N]` on the CPU."""
    config: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY"}
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    compiled = ov.Core().compile_model(xml, "CPU", config)

    def predict(batch: UInt8Array) -> NDArray[np.float32]:
        return np.array(compiled([batch])[0], dtype=np.float32)

    return predict


def parity(detector: Detector, predictor: Predictor, images: UInt8Array) -> float:
    """Return the largest absolute difference of the logits of `images`."""
    with torch.inference_mode():
        expected = detector(torch.from_numpy(images)).numpy()
    return float(np.abs(predictor(images) - expected).max())
