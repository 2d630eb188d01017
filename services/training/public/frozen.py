"""The frozen networks in torch, on a GPU where there is one: weights, tokens and statistics.

What `services.training.eyes.tokens` and `tile_features` compute by OpenVINO on a CPU, into the same
files of the training store. A run that was stopped goes on where it ended.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from services.training.errors import TrainingError
from services.training.eyes.store import DONE as STORED
from services.training.eyes.store import STACKS
from services.training.eyes.tokens import CLASSES, DONE, TOKENS, memmap
from services.training.eyes.workspace import STATISTICS
from services.training.public.config import PublicConfig
from services.training.public.trunks import TILES, TRUNKS, Network
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import Floats, State, dequantised, quantised
from shared.ml.spec import Normalization
from shared.ml.statistics import StatisticsNetwork
from shared.ml.torch_compat import ensure_torchvision_imports

Say = Callable[[str], None]
# Reads normalised images `[N, 3, S, S]`; returns arrays of N rows.
Read = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
_EMBEDDINGS = (
    "cls_token",
    "pos_embed",
    "patch_embed.proj.weight",
    "norm_pre.weight",
    "norm_pre.bias",
)


def pretrained_trunk(config: PublicConfig) -> State:
    """Return the first blocks of the trunk's network and what is before them.

    Linear weights of blocks are int8 with scales, as packages store them: training sees the
    numbers that will be served. Raises TrainingError when weights are missing or do not fit.
    """
    network = TRUNKS[config.trunk]
    found = _weights(network, config.trunk_weights)
    try:
        floats = {key: found[key].float().numpy() for key in _EMBEDDINGS}
    except KeyError as error:
        raise TrainingError(f"the weights of {config.trunk} lack {error}") from error
    blocks: Floats = {}
    for number in range(config.eyes.blocks):
        own = {key: found[key] for key in found if key.startswith(f"blocks.{number}.")}
        if not own:
            raise TrainingError(f"{config.trunk} has {number} blocks, not {config.eyes.blocks}")
        blocks |= {key: value.float().numpy() for key, value in own.items()}
    patches = floats["pos_embed"].size // floats["cls_token"].size - 1
    side = config.eyes.spec.size // floats["patch_embed.proj.weight"].shape[2]
    if patches != side * side:
        raise TrainingError(
            f"{config.trunk} reads {network.size} px, the stack has {config.eyes.spec.size} px"
        )
    return {**floats, **quantised(blocks)}


def pretrained_tiles(config: PublicConfig) -> StatisticsNetwork:
    """Return the tiles' stages under a head of zeros, for inference."""
    ensure_torchvision_imports()
    import timm  # noqa: PLC0415 - only importable once torchvision is

    network = TILES[config.tiles]
    backbone = timm.create_model(network.timm_name, pretrained=False, num_classes=1)
    state = _weights(network, config.tiles_weights)
    state = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    missing, unexpected = backbone.load_state_dict(state, strict=False)
    missing = [key for key in missing if not key.startswith("classifier.")]
    if missing or unexpected:
        raise TrainingError(
            f"the weights do not fit {config.tiles}: missing {missing[:4]},"
            f" unexpected {unexpected[:4]}"
        )
    return StatisticsNetwork(backbone).eval()


def stages_of(network: StatisticsNetwork) -> Floats:
    """Return the stages' weights, float32, under the keys that packages have."""
    return {
        key: value.float().numpy()
        for key, value in network.state_dict().items()
        if key.startswith(("conv_stem", "bn1", "blocks")) and value.is_floating_point()
    }


def compute_tokens(
    config: PublicConfig, trunk: State, folder: Path, device: torch.device, say: Say
) -> None:
    """Write the trunk's tokens and class tokens of every view of the store in `folder`."""
    network = ViewNetwork.from_weights(dequantised(trunk), config.eyes.trunk_blocks)
    network.requires_grad_(requires_grad=False).eval().to(device)
    length, width = network.pos_embed.shape[1:]
    rows = ((length, width), (config.eyes.trunk_blocks, width))
    normalization = TRUNKS[config.trunk].normalization
    run = _Run(folder, (TOKENS, CLASSES), DONE, rows, device, normalization, config.batch)
    run(lambda stack: stack[:1], network.trunk_tokens, "views", say)


def compute_statistics(
    config: PublicConfig, network: StatisticsNetwork, folder: Path, device: torch.device, say: Say
) -> None:
    """Write the statistics of every tile of the store in `folder`."""
    network.to(device)
    tiles, width = config.eyes.spec.tiles, network.classifier.in_features
    done = Path(STATISTICS).with_suffix(".done.npy").name
    normalization = TILES[config.tiles].normalization
    batch = max(1, config.batch // tiles)
    run = _Run(folder, (STATISTICS,), done, ((tiles, width),), device, normalization, batch)
    run(lambda stack: stack[1:], lambda images: (network.statistics(images),), "tiles", say)


class _Run:
    """One pass over the store: images through a network into arrays `[N, V, *row]`, float16."""

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        done: str,
        rows: Sequence[tuple[int, ...]],
        device: torch.device,
        normalization: Normalization,
        batch: int,
    ) -> None:
        self._stacks = np.load(folder / STACKS, mmap_mode="r")
        self._ready = np.load(folder / STORED)
        looks = self._stacks.shape[:2]
        self._arrays = [
            memmap(folder / name, np.float16, (*looks, *row))
            for name, row in zip(names, rows, strict=True)
        ]
        self._done = memmap(folder / done, np.bool_, looks)
        self._device, self._batch = device, batch
        mean, std = (
            torch.tensor(each).view(1, 3, 1, 1) for each in (normalization.mean, normalization.std)
        )
        self._mean, self._std = mean.to(device), std.to(device)

    def __call__(
        self,
        images_of: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        read: Read,
        what: str,
        say: Say,
    ) -> None:
        for version in range(self._stacks.shape[1]):
            todo = np.flatnonzero(self._ready & ~self._done[:, version])
            for start in range(0, len(todo), self._batch):
                rows = todo[start : start + self._batch]
                images = [images_of(self._stacks[row, version]) for row in rows]
                self._keep(rows, version, self._found(np.concatenate(images), read))
            say(f"{what} of version {version}: {len(todo)} photos read")

    def _found(self, images: NDArray[np.uint8], read: Read) -> list[NDArray[Any]]:
        with torch.inference_mode():
            pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float() / 255
            found = read((pixels - self._mean) / self._std)
        return [each.float().cpu().numpy() for each in found]

    def _keep(self, rows: NDArray[np.int64], version: int, found: list[NDArray[Any]]) -> None:
        for array, values in zip(self._arrays, found, strict=True):
            # Several images of a photo are one row of it.
            array[rows, version] = values.reshape(len(rows), *array.shape[2:])
        self._done[rows, version] = True


def _weights(network: Network, local: Path | None) -> dict[str, torch.Tensor]:
    """Return a network's weights from a local file, or by timm's download."""
    if local is not None:
        try:
            return load_file(local)
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"the weights {local} cannot be read: {error}") from error
    ensure_torchvision_imports()
    import timm  # noqa: PLC0415 - only importable once torchvision is

    try:
        model = timm.create_model(network.timm_name, pretrained=True)
    except Exception as error:
        raise TrainingError(
            f"the weights {network.timm_name} could not be downloaded ({error}). Where no hub is"
            " reachable, name a safetensors file in trunk_weights or tiles_weights."
        ) from error
    state: dict[str, torch.Tensor] = model.state_dict()
    return state
