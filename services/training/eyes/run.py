"""The run of the eyes, step by step; every step keeps what it made and is not repeated."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from services.training.errors import TrainingError
from services.training.evaluate.metrics import auc, recall_at_fpr
from services.training.eyes.assemble import (
    Parts,
    scaled_head,
    tiles_state,
    view_state,
    write_members,
    write_trunk,
)
from services.training.eyes.clip_onnx import read_clip_encoder
from services.training.eyes.config import EyesConfig
from services.training.eyes.fold import VIEW, TilesHead, train_tiles, train_view
from services.training.eyes.fusion import (
    Judged,
    Operating,
    carried,
    coverage,
    is_fusing,
    operate,
)
from services.training.eyes.head import Head
from services.training.eyes.sampling import folds
from services.training.eyes.tune import UpperBlocks, score
from services.training.eyes.workspace import Workspace, write_json
from services.training.fit.training import device_of
from services.training.package.write import git_revision
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.members.trunks import TrunkStore
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import Floats, State, dequantised, halved, read_state
from shared.ml.package import TRUNKS, load_package
from shared.ml.spec import ModelManifest, TrainingRecord, Trunk

Say = Callable[[str], None]
# The folder of the tuning on all repositories.
WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Eyes:
    """One configured run: its data, its pretrained weights, and where it keeps what it makes."""

    config: EyesConfig
    space: Workspace
    # Of all blocks of the view's network as they were pretrained, int8 with scales.
    pretrained: State
    # Of the tiles' stages, float32, as `pretrained_stages` gives them.
    stages: Floats
    folder: Path
    # Whose weights it begins with, and what else the package's record should tell.
    base_weights: str = "CLIP ViT-B/16 (OpenAI, MIT) and EfficientNet-Lite0 (Apache-2.0)"
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def trunk_state(self) -> State:
        """The trunk's part of the pretrained weights, as stored."""
        upper = tuple(
            f"blocks.{number}." for number in range(self.config.trunk_blocks, self.config.blocks)
        )
        return {key: value for key, value in self.pretrained.items() if not key.startswith(upper)}


def pretrained_view(encoder: Path, config: EyesConfig) -> State:
    """Return CLIP's first blocks from the quantised ONNX file."""
    return read_clip_encoder(encoder, config.blocks)


def pretrained_stages(path: Path) -> Floats:
    """Return the tiles' stages from a safetensors file, rounded as the package will hold them.

    So the statistics that the head is fitted on are those that it reads when it serves.

    Raises TrainingError when the file cannot be read.
    """
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"the weights {path} cannot be read: {error}") from error
    floats = {
        key: np.asarray(value, np.float32)
        for key, value in stored.items()
        if value.dtype.kind == "f"
    }
    return dequantised(halved(floats))


def fold_of(eyes: Eyes, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each photo, int64 `[M]`; repositories are never cut."""
    return folds(eyes.space.columns.repository[rows], eyes.config.folds)


def runs_of(config: EyesConfig) -> list[str]:
    """Return the names of the tunings that the package is the mean of, the folds first."""
    names = [f"fold-{number}" for number in range(config.folds)]
    return [*names, WHOLE] if config.whole else names


def run_fold(eyes: Eyes, number: int, say: Say) -> None:
    """Train view and tiles without the repositories of fold `number`, then judge these."""
    out = eyes.folder / f"fold-{number}"
    if (out / "judged.npz").is_file():
        return
    rows = eyes.space.rows(*eyes.config.learn)
    held = fold_of(eyes, rows) == number
    learning, judging = rows[~held], rows[held]
    say(f"fold {number}: learning from {len(learning)} photos, judging {len(judging)}")
    network = _tuned_on(eyes, learning, number, out, say)
    tiles = train_tiles(eyes.space, learning, eyes.config.tiles_c)
    found = judge(eyes.space, network, tiles, judging)
    np.savez(out / "judged.npz", allow_pickle=False, **found)
    say(f"fold {number}: {_summary(eyes, found)}")


def run_whole(eyes: Eyes, say: Say) -> None:
    """Tune the view on the repositories of all folds; nothing is left to judge it by."""
    out = eyes.folder / WHOLE
    if (out / VIEW).is_file():
        return
    rows = eyes.space.rows(*eyes.config.learn)
    say(f"whole: learning from {len(rows)} photos")
    _tuned_on(eyes, rows, eyes.config.folds, out, say)


def _tuned_on(
    eyes: Eyes, learning: NDArray[np.int64], number: int, out: Path, say: Say
) -> UpperBlocks:
    weights = dequantised(eyes.pretrained)
    tune = eyes.config.tune.model_copy(update={"seed": eyes.config.seed + number})
    return train_view(eyes.space, weights, eyes.config.trunk_blocks, learning, tune, out, say)


def judge(
    space: Workspace, network: UpperBlocks, tiles: TilesHead, rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return logits of every version of `rows`: arrays `row`, `version`, `view`, `tiles`.

    Raises TrainingError when none of them has tokens and statistics.
    """
    parts: dict[str, list[NDArray[Any]]] = {"row": [], "version": [], "view": [], "tiles": []}
    for version in range(space.tokens.shape[1]):
        ready = rows[space.have_tokens[rows, version] & space.have_statistics[rows, version]]
        if not len(ready):
            continue
        network.to(device_of("auto"))
        view, _ = score(network, space.tokens, space.classes, ready, version)
        parts["row"].append(ready)
        parts["version"].append(np.full(len(ready), version))
        parts["view"].append(view)
        parts["tiles"].append(tiles.logits(space, ready, version))
    if not parts["row"]:
        raise TrainingError(
            f"none of {len(rows)} photos can be judged: they have no tokens and statistics"
        )
    return {name: np.concatenate(each) for name, each in parts.items()}


def judged_of(eyes: Eyes, found: dict[str, NDArray[Any]]) -> Judged:
    """Return what was found as the fusion reads it."""
    columns, rows = eyes.space.columns, found["row"]
    return Judged(found["view"], found["tiles"], columns.label[rows], columns.repository[rows])


def tuned(eyes: Eyes, name: str) -> UpperBlocks:
    """Load the view's network of a run.

    Raises TrainingError when it was not run.
    """
    path = eyes.folder / name / VIEW
    if not path.is_file():
        raise TrainingError(f"{name} was not run: {path} is missing")
    saved = torch.load(path, weights_only=True)
    view = ViewNetwork.from_weights(dequantised(eyes.pretrained), eyes.config.trunk_blocks)
    center, spread = saved["center"].numpy(), saved["spread"].numpy()
    network = UpperBlocks(view, Head(center, spread, np.zeros_like(center), 0.0))
    network.take(saved["state"])
    return network.eval()


def joined(eyes: Eyes, view: State) -> UpperBlocks:
    """Return the package's view, as its stored weights say, with its head folded in."""
    floats = dequantised(view)
    weight, bias = floats.pop("head.weight"), floats.pop("head.bias")
    weights = dequantised(eyes.trunk_state) | floats
    network = ViewNetwork.from_weights(weights, eyes.config.trunk_blocks).eval()
    ones, zeros = np.ones(len(weight), np.float32), np.zeros(len(weight), np.float32)
    return UpperBlocks(network, Head(zeros, ones, weight, float(bias[0])))


def package(eyes: Eyes, output: Path, say: Say) -> ModelManifest:
    """Join the folds, choose fusion and thresholds out of fold, and write the package."""
    rows = eyes.space.rows(*eyes.config.learn)
    names = runs_of(eyes.config)
    networks = [tuned(eyes, name) for name in names]
    view = view_state(networks, eyes.config.trunk_blocks)
    tiles = train_tiles(eyes.space, rows, eyes.config.tiles_c)
    say("judging the untouched repositories, by each fold and by the joined model")
    untouched = eyes.space.rows(*eyes.config.untouched)
    spreads = [
        _judged_once(eyes, f"{name}/untouched.npz", network, tiles, untouched)["view"].std()
        for name, network in zip(names, networks, strict=True)
        if name != WHOLE
    ]
    found = _judged_once(eyes, "untouched.npz", joined(eyes, view), tiles, untouched)
    factor = float(np.sqrt(np.mean(np.square(spreads))) / found["view"].std())
    say(f"the joined model's logits are scaled by {factor:.3f}")
    view, found = scaled_head(view, factor), found | {"view": found["view"] * factor}
    operating, report = choose_operating(eyes, found, say)
    trunk = _trunk(eyes, rows, TrunkStore(output.parent / TRUNKS))
    parts = Parts(
        eyes.config.package.name,
        eyes.config.package.version,
        trunk,
        view,
        tiles_state(eyes.stages, tiles),
        operating,
        eyes.config.spec,
        _record(eyes, rows, untouched),
    )
    return write_members(parts, output, report)


def _trunk(eyes: Eyes, rows: NDArray[np.int64], store: TrunkStore) -> Trunk:
    """Put the package's trunk into `store`, where workers look for it; another package's or new.

    Raises TrainingError when the package that is named has another trunk, PackageError when it
    cannot be read.
    """
    if eyes.config.trunk_of is None:
        classes = np.array(eyes.space.classes[rows, 0], np.float32)
        folder = eyes.folder / TRUNKS
        trunk = write_trunk(eyes.trunk_state, classes, eyes.config.trunk_blocks, folder)
        store.put(folder / trunk.file.name, trunk.file)
        return trunk
    found = load_package(REPOSITORY_ROOT / eyes.config.trunk_of)
    if found.trunk is None or found.manifest.trunk is None:
        raise TrainingError(f"the package {eyes.config.trunk_of} has no trunk")
    theirs, ours = read_state(found.trunk), dequantised(eyes.trunk_state)
    if any(not np.array_equal(ours[key], theirs.get(key, np.empty(0))) for key in ours):
        raise TrainingError(f"the trunk of the package {eyes.config.trunk_of} has other weights")
    store.put(found.trunk, found.manifest.trunk.file)
    return found.manifest.trunk


def _judged_once(
    eyes: Eyes, name: str, network: UpperBlocks, tiles: TilesHead, rows: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Return what `judge` finds, kept under `name` in the run's folder."""
    kept = eyes.folder / name
    if kept.is_file():
        found = dict(np.load(kept))
        if np.array_equal(np.unique(found["row"]), rows):
            return found
    found = judge(eyes.space, network, tiles, rows)
    np.savez(kept, allow_pickle=False, **found)
    return found


def choose_operating(
    eyes: Eyes, untouched: dict[str, NDArray[Any]], say: Say
) -> tuple[Operating, dict[str, Any]]:
    """Fuse and threshold on out-of-fold logits; report how the thresholds carry over.

    First on the folds alone, whose thresholds the untouched repositories then test by the joined
    model; the shipped thresholds count both.
    """
    found = [
        dict(np.load(eyes.folder / f"fold-{number}" / "judged.npz"))
        for number in range(eyes.config.folds)
    ]
    out_of_fold = judged_of(
        eyes, {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    )
    fusing = is_fusing(out_of_fold.repository, eyes.config.fusing_share)
    fresh = judged_of(eyes, untouched)
    looks = eyes.space.tokens.shape[1]
    first = operate(out_of_fold[fusing], out_of_fold[~fusing], eyes.config.calibration, looks)
    over = carried(first, fresh)
    say(f"carried over to untouched repositories: {over}")
    both = out_of_fold[~fusing].joined(fresh)
    chosen = operate(out_of_fold[fusing], both, eyes.config.calibration, looks)
    report = {
        "validation": {
            "out_of_fold": first.numbers,
            "carried_over": over,
            "chosen": chosen.numbers,
        },
        "bound_coverage": coverage(chosen, both, eyes.config.calibration),
    }
    write_json(eyes.folder / "operating.json", report)
    return chosen, report


def _summary(eyes: Eyes, found: dict[str, NDArray[Any]]) -> str:
    judged = judged_of(eyes, found)
    return ", ".join(
        f"{name} AUC {auc(judged.label, each):.3f},"
        f" recall at 1% {recall_at_fpr(judged.label, each, 0.01):.2f}"
        for name, each in (("view", judged.view), ("tiles", judged.tiles))
    )


def _record(eyes: Eyes, rows: NDArray[np.int64], untouched: NDArray[np.int64]) -> TrainingRecord:
    columns = eyes.space.columns
    used = sorted(
        f"{columns.sha256[row]} {columns.label[row]} {columns.split[row]}"
        for row in [*rows, *untouched]
    )
    return TrainingRecord(
        seed=eyes.config.seed,
        git_revision=git_revision(),
        data_fingerprint=hashlib.sha256("\n".join(used).encode()).hexdigest(),
        n_train=len(rows),
        n_calibration=len(untouched),
        base_weights=eyes.base_weights,
        config=eyes.config.model_dump(mode="json") | dict(eyes.notes),
    )
