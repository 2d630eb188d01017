"""Writes a package of members: the trunk by its hash, both members, rules and manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.eyes.fold import TilesHead
from services.training.eyes.fusion import DEFAULT_BUDGET, Operating
from services.training.eyes.tile_features import LITE_NORMALIZATION
from services.training.eyes.tokens import CLIP_NORMALIZATION
from services.training.eyes.tune import UpperBlocks
from services.training.package.embedding import DIM, whitening
from services.training.package.write import entry_of
from shared.ml.members.tiles_graph import STAGES
from shared.ml.members.weights import Floats, State, halved, quantised, write_state
from shared.ml.package import sha256_file
from shared.ml.spec import (
    MANIFEST_NAME,
    EmbeddingSpec,
    FileEntry,
    Member,
    ModelManifest,
    PackageFiles,
    StackSpec,
    TrainingRecord,
    Trunk,
)

VIEW_ARCHITECTURE = "vit_base_patch16_clip_quickgelu_224"
TILES_ARCHITECTURE = "tf_efficientnet_lite0+statistics"
# The embedding reads the class tokens of so many blocks, the trunk's last.
EMBEDDED_BLOCKS = 3


def write_trunk(stored: State, classes: NDArray[np.float32], blocks: int, trunks: Path) -> Trunk:
    """Write the trunk, with the projection of its embedding, into the folder of trunks.

    `stored` are its weights as int8 with scales; `classes` float32 `[N, T, D]` the class tokens of
    the training photos that the projection is fitted on.
    """
    read = classes[:, -EMBEDDED_BLOCKS:].reshape(len(classes), -1)
    width = classes.shape[2]
    weight, bias, explained = whitening(read, [width] * (read.shape[1] // width))
    state = dict(stored) | {"embedding.weight": weight, "embedding.bias": bias}
    trunks.mkdir(parents=True, exist_ok=True)
    temporary = trunks / "trunk.part"
    write_state(state, temporary)
    path = trunks / f"{sha256_file(temporary)}.safetensors"
    temporary.replace(path)
    spec = EmbeddingSpec(
        dim=DIM, fitted_on="train", photos=len(classes), explained_variance=explained
    )
    return Trunk(architecture=VIEW_ARCHITECTURE, blocks=blocks, file=entry_of(path), embedding=spec)


def view_state(networks: list[UpperBlocks], trunk_blocks: int) -> State:
    """Return the view's weights: the mean of several tunings of the same start, as int8.

    The mean of weights of runs that began alike ranks better than any of them (Wortsman et al.
    2022, arXiv 2203.05482), at the cost of one.
    """
    blocks = [
        {key: value.numpy() for key, value in network.blocks.state_dict().items()}
        for network in networks
    ]
    floats: Floats = {}
    for key in blocks[0]:
        number, rest = key.split(".", 1)
        mean = np.mean([each[key] for each in blocks], axis=0).astype(np.float32)
        floats[f"blocks.{int(number) + trunk_blocks}.{rest}"] = mean
    state = quantised(floats)
    heads = [network.folded_head() for network in networks]
    state["head.weight"] = np.mean([weight for weight, _ in heads], axis=0).astype(np.float32)
    state["head.bias"] = np.array([np.mean([bias for _, bias in heads])], np.float32)
    return state


def scaled_head(view: State, factor: float) -> State:
    """Return the view's weights with logits `factor` times as large.

    The mean of several tunings is surer than each, so its logits spread less, while thresholds are
    chosen on logits of the single ones. `factor` brings the spread on repositories that none of
    them saw to theirs; ranks stay as they are.
    """
    floats = {key: np.asarray(view[key], np.float32) for key in ("head.weight", "head.bias")}
    return view | {key: value * np.float32(factor) for key, value in floats.items()}


def tiles_state(stages: Mapping[str, NDArray[np.float32]], fitted: TilesHead) -> State:
    """Return the tiles' weights: the stages as float16, and the head on their statistics."""
    kept = ("conv_stem", "bn1", *(f"blocks.{number}." for number in range(STAGES[-1] + 1)))
    state = halved({key: value for key, value in stages.items() if key.startswith(kept)})
    head = fitted.head
    # The head's own standardisation folds into its weights; the statistics' clip stays.
    weight, bias = head.folded()
    state["center"], state["spread"] = fitted.standard.center, fitted.standard.spread
    state["classifier.weight"] = weight[None]
    state["classifier.bias"] = np.array([bias], np.float32)
    return state


@dataclass(frozen=True, slots=True)
class Parts:
    """What a package is made of."""

    name: str
    version: str
    trunk: Trunk
    view: State
    tiles: State
    operating: Operating
    spec: StackSpec
    training: TrainingRecord


def write_members(parts: Parts, directory: Path, report: dict[str, Any]) -> ModelManifest:
    """Write the package's files into `directory`, the manifest last; returns it.

    `report` becomes evaluation.json; its numbers can be filled in later (`detector evaluate`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    entries = {}
    for name, state in (("view", parts.view), ("tiles", parts.tiles)):
        path = directory / f"{name}.safetensors"
        write_state(state, path)
        entries[name] = entry_of(path)
    evaluation = directory / "evaluation.json"
    evaluation.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    manifest = _manifest(parts, entries, entry_of(evaluation))
    (directory / MANIFEST_NAME).write_text(
        manifest.model_dump_json(indent=1) + "\n", encoding="utf-8"
    )
    return manifest


def _manifest(parts: Parts, entries: dict[str, FileEntry], evaluation: FileEntry) -> ModelManifest:
    fusion, points = parts.operating.fusion, parts.operating.points
    own = next(
        point for point in points if point.thresholds.false_accusation_budget == DEFAULT_BUDGET
    )
    return ModelManifest(
        schema_version=2,
        name=parts.name,
        version=parts.version,
        architecture=f"{VIEW_ARCHITECTURE}&{TILES_ARCHITECTURE}",
        created_at=datetime.now(UTC).replace(microsecond=0),
        preprocess=parts.spec,
        members=(
            Member(
                name="view",
                architecture=VIEW_ARCHITECTURE,
                input="view",
                normalization=CLIP_NORMALIZATION,
                weight=fusion.view_weight,
                limit=fusion.view_limit,
                weights=entries["view"],
            ),
            Member(
                name="tiles",
                architecture=TILES_ARCHITECTURE,
                input="tiles",
                normalization=LITE_NORMALIZATION,
                weight=fusion.tiles_weight,
                limit=fusion.tiles_limit,
                weights=entries["tiles"],
            ),
        ),
        trunk=parts.trunk,
        cascade=parts.operating.cascade,
        calibration=parts.operating.calibration,
        thresholds=own.thresholds,
        operating_points=tuple(point for point in points),
        embedding=parts.trunk.embedding,
        files=PackageFiles(evaluation=evaluation),
        training=parts.training,
    )
