"""From a filled store to a package of members, by the eyes' own steps."""

from collections import Counter
from pathlib import Path

import torch

from services.training.errors import TrainingError
from services.training.eyes.run import Eyes, package, run_fold
from services.training.eyes.sampling import Columns
from services.training.eyes.workspace import open_workspace
from services.training.fit.training import device_of
from services.training.public.config import PublicConfig
from services.training.public.fill import CURSOR, Cursor, Say
from services.training.public.frozen import (
    compute_statistics,
    compute_tokens,
    pretrained_tiles,
    pretrained_trunk,
    stages_of,
)
from services.training.public.trunks import TILES, TRUNKS
from shared.ml.members.weights import State


def train(config: PublicConfig, folder: Path, output: Path, say: Say = print) -> Path | None:
    """Train on the store in `folder` and write a package to `output`; return that, or None.

    None where no package can be made of the configured networks: the folds are trained and judged,
    and their logits and weights lie in the store. Every step keeps what it made.

    Raises TrainingError when the store is not finished, or a split lacks a class.
    """
    _require_finished(folder)
    device = device_of("auto")
    say(f"on {device}")
    pretrained = pretrained_trunk(config)
    network = pretrained_tiles(config)
    compute_tokens(config, _trunk_of(config, pretrained), folder, device, say)
    compute_statistics(config, network, folder, device, say)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    eyes = Eyes(
        config=config.eyes,
        space=open_workspace(folder),
        pretrained=pretrained,
        stages=stages_of(network.cpu()),
        folder=folder / config.eyes.package.version,
        base_weights=_base_weights(config),
        notes={"public": config.model_dump(mode="json", exclude={"eyes"})},
    )
    _require_classes(config, eyes.space.columns)
    for number in range(config.eyes.folds):
        run_fold(eyes, number, say)
    if not (TRUNKS[config.trunk].packaged and TILES[config.tiles].packaged):
        say(
            f"no package can be made of {config.trunk} and {config.tiles} yet;"
            f" the trained folds are in {eyes.folder}"
        )
        return None
    output.parent.mkdir(parents=True, exist_ok=True)
    manifest = package(eyes, output, say)
    say(f"packaged {manifest.name} {manifest.version} in {output}")
    return output


def _trunk_of(config: PublicConfig, pretrained: State) -> State:
    """Return the part of the weights that stays frozen."""
    eyes = config.eyes
    upper = tuple(f"blocks.{number}." for number in range(eyes.trunk_blocks, eyes.blocks))
    return {key: value for key, value in pretrained.items() if not key.startswith(upper)}


def _require_finished(folder: Path) -> None:
    path = folder / CURSOR
    if not path.is_file() or not Cursor.load(path).finished:
        raise TrainingError(f"{folder} has no finished store: run `public prepare` first")


def _require_classes(config: PublicConfig, columns: Columns) -> None:
    counts = Counter(zip(columns.split.tolist(), columns.label.tolist(), strict=True))
    for split in (*config.eyes.learn, *config.eyes.untouched):
        for label, name in ((0, "real"), (1, "generated")):
            if not counts[split, label]:
                raise TrainingError(
                    f"the store has no {name} photo in {split}: take more shards, higher caps, or"
                    " another validation_share"
                )


def _base_weights(config: PublicConfig) -> str:
    networks = (TRUNKS[config.trunk], TILES[config.tiles])
    return " and ".join(f"{each.timm_name} ({each.licence})" for each in networks)
