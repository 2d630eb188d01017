"""A package's scores on the CPU, in float32 on every processor."""

import hashlib
import json
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op

from services.training.evaluation.judging import PhotoScores, Scorer
from shared.ml.members.tiles_graph import tiles_nodes
from shared.ml.members.view_graph import view_nodes
from shared.ml.members.weights import Floats, read_state
from shared.ml.package import ModelPackage
from shared.ml.preprocess import UInt8Array
from shared.ml.spec import Cascade, Member, Normalization

# Without it a processor with bfloat16 computes in that, and logits differ between machines.
_CONFIG = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
# The trunk's last blocks whose class tokens the embedding is projected from.
EMBEDDED_BLOCKS = 3
# Kept scores of an earlier form are not read.
_EDITION = 1

Float64s = NDArray[np.float64]


def scorer_of(package: ModelPackage) -> Scorer:
    """Return the scorer of a package of members or of one network.

    Raises PackageError when a member's weights cannot be read.
    """
    return _members(package) if package.manifest.members else _network(package.openvino_xml)


def digest_of(package: ModelPackage) -> str:
    """Return a SHA-256 over all that scores depend on: the key that they are kept under.

    Calibration and thresholds are no part of it; they come after the scores.
    """
    manifest = package.manifest.model_dump(mode="json")
    kept = {name: manifest[name] for name in ("preprocess", "members", "trunk", "cascade")}
    kept["normalization"] = manifest["normalization"]
    kept["weights"] = [manifest["files"][name] for name in ("weights", "openvino_bin")]
    kept["recheck"] = (manifest["recheck"] or {}).get("jpeg_quality")
    kept["edition"] = _EDITION
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _network(xml: Path) -> Scorer:
    compiled = ov.Core().compile_model(str(xml), "CPU", _CONFIG)
    embeds = any("embedding" in output.names for output in compiled.outputs)

    def score(images: UInt8Array) -> PhotoScores:
        found = compiled([images])
        logit = np.array(found["logits"], np.float64).reshape(-1)
        nothing = np.full(len(logit), np.nan)
        embedding = np.array(found["embedding"], np.float32) if embeds else None
        return PhotoScores(logit, nothing, nothing, np.zeros(len(logit), bool), embedding)

    return score


def _members(package: ModelPackage) -> Scorer:
    manifest = package.manifest
    if package.trunk is None or manifest.trunk is None:
        raise ValueError("a package of members has a trunk")
    view, tiles = manifest.member("view"), manifest.member("tiles")
    size = manifest.preprocess.shape[-2]
    trunk, release = read_state(package.trunk), read_state(package.members["view"])
    tokens_of = _graph(trunk | release, view.normalization, size, "view")
    tiles_of = _graph(read_state(package.members["tiles"]), tiles.normalization, size, "tiles")
    head = release["head.weight"].reshape(-1), release["head.bias"].reshape(-1)
    last = manifest.trunk.blocks
    projection = trunk["embedding.weight"], trunk["embedding.bias"]

    def score(stacks: UInt8Array) -> PhotoScores:
        tokens = tokens_of([stacks[:, 0]])[0]
        read = tokens.reshape(len(tokens), -1)
        view_logit = (read @ head[0] + head[1]).astype(np.float64)
        shown = tokens[:, last - EMBEDDED_BLOCKS : last].reshape(len(tokens), -1)
        embedding = (shown @ projection[0].T + projection[1]).astype(np.float32)
        looked = looked_at(view_logit, manifest.cascade)
        tiles_logit = np.full(len(stacks), np.nan)
        if looked.any():
            cut = stacks[looked, 1:]
            each = tiles_of([cut.reshape(-1, *cut.shape[2:])])[0]
            tiles_logit[looked] = each.reshape(len(cut), -1).mean(1, dtype=np.float64)
        logit = package_logit(view_logit, tiles_logit, view, tiles, manifest.cascade)
        return PhotoScores(logit, view_logit, tiles_logit, looked, embedding)

    return score


def looked_at(view: Float64s, cascade: Cascade | None) -> NDArray[np.bool_]:
    """Return whose tiles are looked at, bool `[N]`, by the view's logits."""
    if cascade is None:
        return np.ones(len(view), bool)
    return np.asarray((view >= cascade.below) & (view <= cascade.above))


def package_logit(
    view: Float64s, tiles: Float64s, of_view: Member, of_tiles: Member, cascade: Cascade | None
) -> Float64s:
    """Return the sum of weight x clip(logit, ±limit) over the members, float64 `[N]`.

    Where `tiles` is NaN, as nobody looked, the cascade's line on the view's logit stands for it.
    """
    if cascade is not None:
        expected = cascade.slope * view + cascade.intercept
        tiles = np.where(np.isnan(tiles), expected, tiles)
    return np.asarray(
        of_view.weight * np.clip(view, -of_view.limit, of_view.limit)
        + of_tiles.weight * np.clip(tiles, -of_tiles.limit, of_tiles.limit)
    )


def _graph(
    weights: Floats, normalization: Normalization, size: int, member: str
) -> ov.CompiledModel:
    """Return a network behind uint8 photos `[N, S, S, 3]`: class tokens, or logits of tiles."""
    photos = op.parameter([-1, size, size, 3], np.uint8)
    images = op.transpose(op.convert(photos, np.float32), np.array([0, 3, 1, 2], np.int64))
    mean, std = (
        op.constant(np.array(value, np.float32).reshape(1, 3, 1, 1))
        for value in (normalization.mean, normalization.std)
    )
    scaled = op.divide(images, op.constant(np.float32(255)))
    normal = op.divide(op.subtract(scaled, mean), std)
    if member == "view":
        output = view_nodes(normal, weights).tokens
    else:
        output = tiles_nodes(normal, weights, evidence=False).logits
    return ov.Core().compile_model(ov.Model([output], [photos]), "CPU", _CONFIG)
