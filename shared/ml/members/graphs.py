"""Whole OpenVINO models of a package of members: from uint8 images to named outputs.

Needs openvino: import it only where that is installed.
"""

from typing import Any, Literal

import numpy as np
import openvino as ov
from openvino import opset15 as op

from shared.ml.errors import PackageError
from shared.ml.members.tiles_graph import tiles_nodes
from shared.ml.members.view_graph import view_nodes
from shared.ml.members.weights import Floats, read_state
from shared.ml.package import ModelPackage
from shared.ml.spec import Member, StackSpec

# How many class tokens the embedding reads: those after the trunk's last blocks.
EMBEDDED_BLOCKS = 3
# In a trunk's file.
EMBEDDING = "embedding."


def view_weights(package: ModelPackage) -> Floats:
    """Return the view's weights and its trunk's, the embedding's too, float32."""
    if package.trunk is None:
        raise PackageError(f"model {package.manifest.version} has no trunk")
    return read_state(package.trunk) | read_state(package.members["view"])


def view_model(package: ModelPackage) -> ov.Model:
    """Return the view's network.

    `images` uint8 `[N, S, S, 3]` become `logits` float32 `[N]`, `embedding` float32 `[N, E]` and
    `evidence` float32 `[N, g, g]`, whose sum over the cells and a constant are the logit.
    Raises PackageError for a file that does not hold what it should.
    """
    weights, trunk = view_weights(package), package.manifest.trunk
    try:
        images = _images(package)
        normalised = _normalised(images, package.manifest.member("view"))
        head = weights["head.weight"].reshape(1, -1)
        rows = head.reshape(-1, weights["cls_token"].size)
        # What a block adds to the class token, every later token has too.
        after = np.cumsum(rows[::-1], axis=0)[::-1]
        blocks = trunk.blocks if trunk else 0
        network = {key: value for key, value in weights.items() if not key.startswith(EMBEDDING)}
        nodes = view_nodes(normalised, network, list(after[blocks:]))
        logits = _linear(_flat(nodes.tokens), head, weights["head.bias"])
        first, last = _index(blocks - EMBEDDED_BLOCKS), _index(blocks)
        read = op.slice(nodes.tokens, first, last, _index(1), _index(1))
        embedding = _linear(_flat(read), weights[f"{EMBEDDING}weight"], weights[f"{EMBEDDING}bias"])
    except (KeyError, ValueError, RuntimeError) as error:
        raise _unfit(package, "view", error) from error
    outputs = {"logits": _scalar(logits), "embedding": embedding, "evidence": nodes.evidence}
    return _model(images, outputs)


def tiles_model(package: ModelPackage, *, evidence: bool) -> ov.Model:
    """Return the tiles' network, each tile by itself.

    `images` uint8 `[N, S, S, 3]` become `logits` float32 `[N]` and, if asked for, `evidence`
    float32 `[N, h, w]`, whose mean over the cells and a constant are the logit.
    Raises PackageError for a file that does not hold what it should.
    """
    weights = read_state(package.members["tiles"])
    try:
        images = _images(package)
        normalised = _normalised(images, package.manifest.member("tiles"))
        nodes = tiles_nodes(normalised, weights, evidence=evidence)
    except (KeyError, ValueError, RuntimeError) as error:
        raise _unfit(package, "tiles", error) from error
    outputs = {"logits": nodes.logits}
    return _model(images, outputs | ({"evidence": nodes.evidence} if evidence else {}))


def _unfit(package: ModelPackage, name: Literal["view", "tiles"], error: Exception) -> PackageError:
    member = package.manifest.member(name)
    return PackageError(
        f"{package.members[name]} does not fit {member.architecture}: {error}".splitlines()[0]
    )


def _images(package: ModelPackage) -> Any:
    spec = package.manifest.preprocess
    if not isinstance(spec, StackSpec):
        raise PackageError(f"model {package.manifest.version} is no package of members")
    images = op.parameter([-1, spec.size, spec.size, 3], np.uint8)
    images.output(0).get_tensor().set_names({"images"})
    return images


def _normalised(images: Any, member: Member) -> Any:
    planes = op.transpose(op.convert(images, np.float32), _index(0, 3, 1, 2))
    mean, std = (
        np.array(values, np.float32).reshape(1, 3, 1, 1)
        for values in (member.normalization.mean, member.normalization.std)
    )
    # (pixel / 255 - mean) / std as one multiplication and one addition per channel.
    return op.add(op.multiply(planes, _floats(1 / (255 * std))), _floats(-mean / std))


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    return op.add(op.matmul(x, _floats(weight), False, True), _floats(bias))


def _flat(tokens: Any) -> Any:
    return op.reshape(tokens, _index(0, -1), special_zero=True)


def _scalar(logits: Any) -> Any:
    return op.reshape(logits, _index(-1), special_zero=False)


def _index(*values: int) -> Any:
    return op.constant(np.array(values, np.int64))


def _floats(value: Any) -> Any:
    return op.constant(np.asarray(value, np.float32))


def _model(images: Any, outputs: dict[str, Any]) -> ov.Model:
    results = []
    for name, node in outputs.items():
        result = op.result(node)
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    return ov.Model(results, [images], "members")
