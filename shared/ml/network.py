"""The network as torch runs it, for training and for the GPU worker.

The one module of `shared.ml` that needs torch: import it only where torch is installed.
"""

from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from torch import nn

from shared.ml.errors import PackageError
from shared.ml.package import ModelPackage
from shared.ml.spec import Normalization
from shared.ml.torch_compat import ensure_torchvision_imports


class Detector(nn.Module):
    """A timm backbone with one logit, between uint8 photos and logits.

    Takes uint8 RGB `[N, H, W, 3]` as `shared.ml.preprocess` makes it, returns float32 `[N]`.
    Normalisation happens inside, so that no caller can get it wrong.
    """

    def __init__(self, backbone: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.backbone = backbone
        # (pixel / 255 - mean) / std as one multiplication and one addition per channel.
        scale = [1.0 / (255.0 * std) for std in normalization.std]
        shift = [
            -mean / std for mean, std in zip(normalization.mean, normalization.std, strict=True)
        ]
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the raw logits, float32 `[N]`, of uint8 photos `[N, H, W, 3]`."""
        dtype = next(self.backbone.parameters()).dtype
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        scale, shift = cast(torch.Tensor, self.scale), cast(torch.Tensor, self.shift)
        return cast(torch.Tensor, self.backbone((pixels * scale + shift).to(dtype)))[:, 0].float()


def build_backbone(
    architecture: str,
    *,
    base_weights: Path | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """Build a timm network with a single logit.

    Args:
        architecture: a name that `timm.create_model` knows.
        base_weights: a local safetensors file in timm's key names; its classifier is left out.
            None starts from random weights.
        drop_rate: dropout before the head, 0 for inference.
        drop_path_rate: stochastic depth, 0 for inference.

    Raises ValueError when the file lacks a weight of the architecture or has others.
    """
    ensure_torchvision_imports()
    import timm  # noqa: PLC0415 - only importable once torchvision is

    backbone: nn.Module = timm.create_model(
        architecture,
        pretrained=False,
        num_classes=1,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    if base_weights is None:
        return backbone
    head = {f"classifier.{name}" for name in ("weight", "bias")}
    # timm scales the head by its fan-out, which is 1 here: the first logits would be of order 10
    # and their gradients would spoil the pretrained features.
    nn.init.zeros_(backbone.get_parameter("classifier.weight"))
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in load_file(base_weights).items()
        if key not in head
    }
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    if set(missing) - head or unexpected:
        raise ValueError(
            f"{base_weights} does not fit {architecture}: missing {sorted(set(missing) - head)},"
            f" unexpected {sorted(unexpected)}"
        )
    return backbone


def load_detector(package: ModelPackage, device: str = "cpu") -> Detector:
    """Build the package's network on `device` with its weights, float32, in evaluation mode.

    Raises PackageError when the weights do not fit the architecture.
    """
    manifest = package.manifest
    backbone = build_backbone(manifest.architecture)
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in load_file(package.weights).items()
    }
    try:
        backbone.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise PackageError(f"{package.weights} does not fit {manifest.architecture}") from error
    detector = Detector(backbone, manifest.normalization).eval().to(device)
    return detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
