"""A tiny package of members with random weights: every part is there, and runs in milliseconds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shared.ml.members.weights import Floats, quantised, write_state
from shared.ml.network import build_backbone
from shared.ml.package import TRUNKS, ModelPackage, load_package, sha256_file
from shared.ml.spec import Cascade, ModelManifest, StackSpec
from tests.support.packages import ONE_NETWORK

SPEC = StackSpec(size=64, tiles=2, grid=3, max_long=320)
# Two heads; the blocks of the real one.
WIDTH, PATCH, BLOCKS, TRUNK_BLOCKS, EMBEDDED = 128, 16, 9, 6, 8
TILES = "tf_efficientnet_lite0+statistics"
_NORMALIZATION = {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}


def write_members_package(
    directory: Path,
    *,
    cascade: Cascade | None = None,
    seed: int = 0,
    spec: StackSpec = SPEC,
    **changes: Any,
) -> ModelPackage:
    """Write a package to `directory`, its trunk to `trunks` in it, and load it.

    `changes` replace entries of the manifest. View and tiles say something else of every photo,
    mostly within their limits.
    """
    (directory / TRUNKS).mkdir(parents=True)
    trunk, view = _view_states(seed, spec)
    content = ONE_NETWORK.joinpath("evaluation.json").read_bytes()
    directory.joinpath("evaluation.json").write_bytes(content)
    write_state(quantised(view), directory / "view.safetensors")
    write_state(quantised(_tiles_state(seed, spec)), directory / "tiles.safetensors")
    whole = directory / TRUNKS / "new"
    write_state(quantised(trunk), whole)
    stored = whole.rename(directory / TRUNKS / f"{sha256_file(whole)}.safetensors")
    manifest = ModelManifest.model_validate(_manifest(directory, stored, spec, cascade) | changes)
    directory.joinpath("model.json").write_text(manifest.model_dump_json())
    return load_package(directory)


def _manifest(
    directory: Path, trunk: Path, spec: StackSpec, cascade: Cascade | None
) -> dict[str, Any]:
    shipped: dict[str, Any] = json.loads((ONE_NETWORK / "model.json").read_text())
    for replaced in ("normalization", "embedding", "operating_points", "metrics"):
        shipped.pop(replaced, None)
    members = [
        {
            "name": name,
            "architecture": architecture,
            "input": name,
            "normalization": _NORMALIZATION,
            "weight": weight,
            "limit": limit,
            "weights": _entry(directory / f"{name}.safetensors"),
        }
        for name, architecture, weight, limit in (
            ("view", "vit_base_patch16_clip_224", 1.0, 8.0),
            ("tiles", TILES, 0.6, 3.0),
        )
    ]
    embedding = {"dim": EMBEDDED, "fitted_on": "train", "photos": 9, "explained_variance": 0.5}
    return shipped | {
        "schema_version": 2,
        "version": "0.0.0-members",
        "architecture": f"vit_base_patch16_clip_224&{TILES}",
        "preprocess": spec.model_dump(),
        "members": members,
        "trunk": {
            "architecture": "vit_base_patch16_clip_224",
            "blocks": TRUNK_BLOCKS,
            "file": _entry(trunk),
            "embedding": embedding,
        },
        "embedding": embedding,
        "cascade": cascade.model_dump() if cascade else None,
        "calibration": {"temperature": 1.0, "bias": 0.0},
        "thresholds": {"real_below": 0.3, "ai_above": 0.7, "false_accusation_budget": 0.01},
        "recheck": None,
        "files": {"evaluation": _entry(directory / "evaluation.json")},
    }


def _entry(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return {"name": path.name, "sha256": digest, "size_bytes": len(data)}


def _view_states(seed: int, spec: StackSpec) -> tuple[Floats, Floats]:
    """Return the trunk's and the view's weights."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.08) -> NDArray[np.float32]:
        return rng.normal(0, scale, shape).astype(np.float32)

    def norm(name: str) -> Floats:
        return {f"{name}.weight": 1 + normal(WIDTH), f"{name}.bias": normal(WIDTH)}

    trunk: Floats = {
        "cls_token": normal(1, 1, WIDTH),
        "pos_embed": normal(1, 1 + (spec.size // PATCH) ** 2, WIDTH),
        "patch_embed.proj.weight": normal(WIDTH, 3, PATCH, PATCH, scale=0.03),
        **norm("norm_pre"),
        "embedding.weight": normal(EMBEDDED, 3 * WIDTH),
        "embedding.bias": normal(EMBEDDED),
    }
    view: Floats = {"head.weight": normal(BLOCKS * WIDTH, scale=0.04), "head.bias": normal(1)}
    for block in range(BLOCKS):
        name = f"blocks.{block}"
        part = norm(f"{name}.norm1") | norm(f"{name}.norm2")
        for layer, out, into in (
            ("attn.qkv", 3, 1),
            ("attn.proj", 1, 1),
            ("mlp.fc1", 4, 1),
            ("mlp.fc2", 1, 4),
        ):
            part[f"{name}.{layer}.weight"] = normal(out * WIDTH, into * WIDTH)
            part[f"{name}.{layer}.bias"] = normal(out * WIDTH)
        (trunk if block < TRUNK_BLOCKS else view).update(part)
    return trunk, view


def _tiles_state(seed: int, spec: StackSpec) -> Floats:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_backbone(TILES).eval()
        with torch.inference_mode():
            found = network.statistics(torch.randn(8, 3, spec.size, spec.size))  # type: ignore[operator]
        count = found.shape[1]
        network.start_from(  # type: ignore[operator]
            found.mean(0), found.std(0) * 4 + 0.05, torch.randn(count) * 0.1, torch.tensor(0.1)
        )
    return {
        key: value.numpy()
        for key, value in network.state_dict().items()
        if value.is_floating_point()
    }
