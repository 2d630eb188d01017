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
from shared.ml.statistics import SUFFIX, Reading, StatisticsNetwork, on_grid
from shared.ml.torch_compat import ensure_torchvision_imports

# Between the names of networks whose logits are averaged.
JOINT = "&"
# The projection's keys in a package's weights, beside the backbone's; older packages have none.
PROJECTION = "embedding."


class Detector(nn.Module):
    """A timm backbone with one logit, between uint8 photos and logits.

    Takes uint8 RGB `[N, H, W, 3]` as `shared.ml.preprocess` makes it, returns float32 `[N]`.
    Normalisation happens inside, so that no caller can get it wrong.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        normalization: Normalization,
        projection: nn.Linear | None = None,
    ) -> None:
        """`projection` makes an embedding of what the backbone's head reads; see `embedding`."""
        super().__init__()
        self.backbone = backbone
        self.projection = projection
        # (pixel / 255 - mean) / std as one multiplication and one addition per channel.
        scale = [1.0 / (255.0 * std) for std in normalization.std]
        shift = [
            -mean / std for mean, std in zip(normalization.mean, normalization.std, strict=True)
        ]
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", torch.tensor(shift).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the raw logits, float32 `[N]`, of uint8 photos `[N, H, W, 3]`."""
        return cast(torch.Tensor, self.backbone(self.normalized(images)))[:, 0].float()

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the linear head reads, float `[N, F]`, of uint8 photos `[N, H, W, 3]`."""
        normalized = self.normalized(images)
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
        reading = read(self.backbone, self.normalized(images), evidence=True)
        return reading.logits[:, 0].float(), cast(torch.Tensor, reading.evidence).float()

    def pooled(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits float32 `[N]` and what the linear heads read, float32 `[N, F]`.

        Of several networks the features stand side by side, each network's `pooled_widths` wide.
        """
        reading = read(self.backbone, self.normalized(images), evidence=False)
        return reading.logits[:, 0].float(), reading.pooled.float()

    def embedding(self, pooled: torch.Tensor) -> torch.Tensor | None:
        """Return the projection float32 `[N, D]` of pooled features; None without a projection.

        Call it outside of autocast: half precision would cost the small components their meaning.
        """
        return None if self.projection is None else self.projection(pooled)

    def normalized(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalised photos `[N, 3, H, W]` of uint8 `[N, H, W, 3]`."""
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

    def read(self, images: torch.Tensor, *, evidence: bool) -> Reading:
        """Return the mean logits, all features, and the mean evidence on the coarsest grid."""
        parts = [read(member, images, evidence=evidence) for member in self.members]
        logits = torch.stack([part.logits for part in parts]).mean(0)
        pooled = torch.cat([part.pooled.float() for part in parts], 1)
        maps = [part.evidence.float() for part in parts if part.evidence is not None]
        if not maps:
            return Reading(logits, pooled, None)
        grid = min((each.shape[-2:] for each in maps), key=lambda size: size[0])
        return Reading(logits, pooled, torch.stack([on_grid(each, grid) for each in maps]).mean(0))


def read(backbone: nn.Module, images: torch.Tensor, *, evidence: bool) -> Reading:
    """Run a backbone of `build_backbone` once over normalised photos float `[N, 3, H, W]`.

    `evidence` needs one that `has_evidence` allows.
    """
    if isinstance(backbone, StatisticsNetwork | MeanOfNetworks):
        return backbone.read(images, evidence=evidence)
    network = cast(Any, backbone)
    features = network.forward_features(images)
    head: nn.Linear = network.get_classifier()
    pooled = network.forward_head(features, pre_logits=True)
    cells = None
    if evidence:
        cells = nn.functional.conv2d(features, head.weight[:1, :, None, None])[:, 0]
    return Reading(head(pooled), pooled, cells)


def pooled_widths(backbone: nn.Module) -> tuple[int, ...]:
    """Return how many features each network's linear head reads, in the order of `pooled`."""
    if isinstance(backbone, MeanOfNetworks):
        return tuple(width for member in backbone.members for width in pooled_widths(member))
    if isinstance(backbone, StatisticsNetwork):
        return (backbone.classifier.in_features,)
    return (int(cast(Any, backbone).get_classifier().in_features),)


class ServedDetector(nn.Module):
    """A detector with every output a package may need; a module, as torch.export wants one.

    `names` are those of the outputs: `logits`, `evidence` where it has that, and `pooled`, from
    which an embedding is made.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector
        explained = has_evidence(detector.backbone)
        self.names = ("logits", "evidence", "pooled") if explained else ("logits", "pooled")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs of uint8 photos `[N, H, W, 3]`, in the order of `names`."""
        backbone, images = self.detector.backbone, self.detector.normalized(images)
        reading = read(backbone, images, evidence="evidence" in self.names)
        outputs = (reading.logits[:, 0], reading.evidence, reading.pooled)
        return tuple(output.float() for output in outputs if output is not None)


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
    projection = take_projection(state)
    try:
        backbone.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise PackageError(f"{package.weights} does not fit {manifest.architecture}") from error
    detector = Detector(backbone, manifest.one_normalization, projection).eval().to(device)
    return detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def take_projection(state: dict[str, torch.Tensor]) -> nn.Linear | None:
    """Remove the projection from a package's weights and return it; None where there is none."""
    taken = {key: state.pop(key) for key in list(state) if key.startswith(PROJECTION)}
    if not taken:
        return None
    weight, bias = taken[f"{PROJECTION}weight"].float(), taken[f"{PROJECTION}bias"].float()
    projection = nn.Linear(weight.shape[1], weight.shape[0])
    projection.load_state_dict({"weight": weight, "bias": bias})
    return projection
