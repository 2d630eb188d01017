"""The network as torch runs it, for training and for the GPU worker.

The one module of `shared.ml` that needs torch: import it only where torch is installed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import nn

from shared.ml.errors import PackageError
from shared.ml.package import ModelPackage
from shared.ml.spec import Normalization
from shared.ml.statistics import SUFFIX, StatisticsNetwork, on_grid
from shared.ml.torch_compat import ensure_torchvision_imports

# Between the names of networks whose logits are averaged.
JOINT = "&"


class Detector(nn.Module):
    """A timm backbone with one logit, between uint8 photos and logits.

    Takes uint8 RGB `[N, H, W, 3]` as `shared.ml.preprocess` makes it, returns float32 `[N]`.
    Normalisation happens inside, so that no caller can get it wrong.
    """

    scale: torch.Tensor
    shift: torch.Tensor

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
        return cast(torch.Tensor, self.backbone(self._normalized(images)))[:, 0].float()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the linear head reads, float `[N, F]`, of uint8 photos `[N, H, W, 3]`."""
        normalized = self._normalized(images)
        if isinstance(self.backbone, StatisticsNetwork):
            return self.backbone.statistics(normalized)
        backbone = cast(Any, self.backbone)
        features = backbone.forward_features(normalized)
        return cast(torch.Tensor, backbone.forward_head(features, pre_logits=True))

    def explained(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits float32 `[N]` and their evidence float32 `[N, h, w]`.

        The map's mean plus the head's bias is the logit, exactly: the class activation map (Zhou et
        al. 2016, arXiv 1512.04150) where behind the last convolution stand only a mean over the
        cells and a linear head, else `StatisticsNetwork.explained`. Cells that see reflected
        padding are included. Raises ValueError for another backbone; see `has_evidence`.
        """
        if not has_evidence(self.backbone):
            raise ValueError("this backbone does not end in pooling and a linear head")
        logits, evidence = _explained(self.backbone, self._normalized(images))
        return logits[:, 0].float(), evidence.float()

    def _normalized(self, images: torch.Tensor) -> torch.Tensor:
        dtype = next(self.backbone.parameters()).dtype
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        return (pixels * self.scale + self.shift).to(dtype)


class MeanOfNetworks(nn.Module):
    """Several networks over one photo; its logit is the mean of theirs.

    Networks that read different things err on different photos (Lakshminarayanan et al. 2017,
    arXiv 1612.01474). Takes normalised photos float `[N, 3, H, W]`, returns `[N, 1]`.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mean of the members' logits, `[N, 1]`."""
        return torch.stack([member(images) for member in self.members]).mean(0)

    def explained(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits `[N, 1]` and the mean of the members' evidence on the coarsest grid."""
        parts = [_explained(member, images) for member in self.members]
        grid = min((evidence.shape[-2:] for _, evidence in parts), key=lambda size: size[0])
        evidence = torch.stack([on_grid(each.float(), grid) for _, each in parts]).mean(0)
        return torch.stack([logits for logits, _ in parts]).mean(0), evidence


def _explained(backbone: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits `[N, 1]` and evidence `[N, h, w]` of normalised photos."""
    if isinstance(backbone, StatisticsNetwork | MeanOfNetworks):
        return backbone.explained(images)
    network = cast(Any, backbone)
    features = network.forward_features(images)
    head: nn.Linear = network.get_classifier()
    evidence = nn.functional.conv2d(features, head.weight[:1, :, None, None])[:, 0]
    return network.forward_head(features), evidence


class ExplainedDetector(nn.Module):
    """A `Detector` whose forward returns (logits, evidence), for export and for the GPU engine."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return `Detector.explained` of uint8 photos `[N, H, W, 3]`."""
        return self.detector.explained(images)


def has_evidence(backbone: nn.Module) -> bool:
    """Say whether the evidence of `backbone` is exact: pooling over cells, then a linear head."""
    if isinstance(backbone, StatisticsNetwork):
        return True
    if isinstance(backbone, MeanOfNetworks):
        return all(has_evidence(member) for member in backbone.members)
    pooling = getattr(backbone, "global_pool", None)
    classifier = getattr(backbone, "get_classifier", None)
    return (
        getattr(pooling, "pool_type", None) == "avg"
        and classifier is not None
        and isinstance(classifier(), nn.Linear)
        and hasattr(backbone, "forward_features")
        and hasattr(backbone, "forward_head")
    )


def build_backbone(
    architecture: str,
    *,
    base_weights: Path | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """Build a network with a single logit.

    Args:
        architecture: a name that `timm.create_model` knows; with `+statistics` behind it, the
            first stages of that network under the head of `shared.ml.statistics`; several names
            joined by `&` for the mean of their logits.
        base_weights: a local safetensors file in timm's key names; its classifier is left out.
            None starts from random weights.
        drop_rate: dropout before the head, 0 for inference.
        drop_path_rate: stochastic depth, 0 for inference.

    Raises ValueError when the file lacks a weight of the architecture or has others.
    """
    if JOINT in architecture:
        if base_weights is not None:
            raise ValueError("base weights fit one network, not several")
        names = architecture.split(JOINT)
        return MeanOfNetworks([build_backbone(name, drop_rate=drop_rate) for name in names])
    ensure_torchvision_imports()
    import timm  # noqa: PLC0415 - only importable once torchvision is

    backbone: nn.Module = timm.create_model(
        architecture.removesuffix(SUFFIX),
        pretrained=False,
        num_classes=1,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
    )
    if base_weights is not None:
        _load_base(backbone, base_weights, architecture)
    if architecture.endswith(SUFFIX):
        return StatisticsNetwork(backbone, drop_rate)
    return backbone


def _load_base(backbone: nn.Module, base_weights: Path, architecture: str) -> None:
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
