"""GPU engine of packages of members: the stored weights in torch."""

from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from services.worker.engines.members import coarsest, explained, judged, member_precisions
from services.worker.engines.port import Explained, Images, Logits, Predictions
from services.worker.engines.torch_cuda import bucket
from shared.ml.errors import PackageError
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import Floats, read_state
from shared.ml.network import Detector, build_backbone, take_projection
from shared.ml.package import ModelPackage
from shared.ml.precision import Precision

BATCH_SIZE = 128
# Of each batch norm; training alone reads it.
_UNREAD = "num_batches_tracked"


class TorchMembersEngine:
    """See `Engine` and `OpenVinoMembersEngine`. The tiles of all photos of a batch run together.

    On CUDA with a pinned staging buffer, and float16 autocast for members that were measured in it.
    Raises NoEngineError or PackageError as that one does.
    """

    def __init__(
        self,
        package: ModelPackage,
        batch_size: int = 0,
        device: str | None = None,
        precision: Precision | None = None,
    ) -> None:
        self._manifest = package.manifest
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        cuda = self._device.type == "cuda"
        self.precisions = member_precisions(
            package, ("f32", "f16") if cuda else ("f32",), precision
        )
        self.precision = coarsest(self.precisions)
        if cuda:
            # Else convolutions round float32 to 10 bits of mantissa, which nobody asked for.
            torch.backends.cudnn.allow_tf32 = False
        self.name = f"torch-{self._device.type}-{self.precision}"
        self.batch_size = batch_size or BATCH_SIZE
        self._view = _view(package).to(self._device)
        self._tiles = _tiles(package).to(self._device)
        images, *shape = package.manifest.preprocess.shape
        self._staging = torch.zeros(
            (bucket(self.batch_size * (images - 1)), *shape), dtype=torch.uint8, pin_memory=cuda
        )

    @torch.inference_mode()
    def predict(self, images: Images) -> Predictions:
        """See `Engine.predict`."""
        network = cast(ViewNetwork, self._view.backbone)
        normalised = self._view.normalized(self._on_device(images[:, 0]))
        with self._autocast("view"):
            x, below = network.trunk_tokens(normalised)
            tokens = torch.cat([below, network.upper_tokens(x)], 1)[: len(images)].float()
        logits = network.head(tokens.flatten(1))[:, 0]
        return judged(
            images, self._manifest, _numbers(logits), self._embedding(tokens), self._look_at_tiles
        )

    @torch.inference_mode()
    def explain(self, image: Images) -> Explained | None:
        """See `Engine.explain`; in float32, also where `predict` takes half precision."""
        read = self._view.backbone(self._view.normalized(self._on_device(image[None, 0])))
        maps = []

        def look_at_tiles(tiles: Images) -> Logits:
            logits, cells = self._tiles.explained(self._on_device(tiles[0])[: len(tiles[0])])
            maps.append(_numbers(cells))
            return _numbers(logits.mean(0, keepdim=True))

        predictions = judged(
            image[None],
            self._manifest,
            _numbers(read.logits),
            self._embedding(read.tokens),
            look_at_tiles,
        )
        tiles = maps[0] if maps else None
        return explained(predictions, _numbers(read.evidence[0]), tiles, self._manifest)

    def _look_at_tiles(self, tiles: Images) -> Logits:
        count, each = tiles.shape[:2]
        staged = self._on_device(tiles.reshape(-1, *tiles.shape[2:]))
        with self._autocast("tiles"):
            logits, _ = self._tiles.pooled(staged)
        return _numbers(logits[: count * each].reshape(count, each).mean(1))

    def _embedding(self, tokens: torch.Tensor) -> NDArray[np.float32]:
        """Return the embedding `[N, E]`, of class tokens `[N, B, D]` those at the trunk's end.

        Outside of autocast: half precision would cost the small components their meaning.
        """
        projection = cast(nn.Linear, self._view.projection)
        end = cast(ViewNetwork, self._view.backbone).trunk_blocks
        read = tokens[:, end - projection.in_features // tokens.shape[-1] : end]
        return _numbers(projection(read.flatten(1)))

    def _on_device(self, images: Images) -> torch.Tensor:
        """Return `images` uint8 `[N, S, S, 3]` on the device, more of them up to a power of two.

        cuDNN and the allocator see few shapes so. Waits for the copy: the buffer is used again.
        """
        staged = self._staging[: bucket(len(images))]
        staged[: len(images)].copy_(torch.from_numpy(np.ascontiguousarray(images)))
        return staged.to(self._device, copy=True)

    def _autocast(self, name: str) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, self.precisions[name] == "f16")


def _view(package: ModelPackage) -> Detector:
    manifest = package.manifest
    if package.trunk is None or manifest.trunk is None:
        raise PackageError(f"model {manifest.version} has no trunk")
    weights = read_state(package.trunk) | read_state(package.members["view"])
    try:
        projection = take_projection(_tensors(weights))
        network = ViewNetwork.from_weights(weights, manifest.trunk.blocks)
    except (KeyError, RuntimeError, ValueError) as error:
        raise _unfit(package, "view") from error
    # Without a head the network would say 0 of every photo.
    if projection is None or not {"head.weight", "head.bias"} <= weights.keys():
        raise _unfit(package, "view")
    return Detector(network, manifest.member("view").normalization, projection).eval()


def _tiles(package: ModelPackage) -> Detector:
    member = package.manifest.member("tiles")
    network = build_backbone(member.architecture)
    state = _tensors(read_state(package.members["tiles"]))
    try:
        missing, unexpected = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise _unfit(package, "tiles") from error
    if unexpected or any(not key.endswith(_UNREAD) for key in missing):
        raise _unfit(package, "tiles")
    detector = Detector(network, member.normalization).eval()
    return detector.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _tensors(state: Floats) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in state.items()}


def _unfit(package: ModelPackage, name: Literal["view", "tiles"]) -> PackageError:
    member = package.manifest.member(name)
    return PackageError(f"{package.members[name]} does not fit {member.architecture}")


def _numbers(values: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(values.float().cpu().numpy(), np.float32)
