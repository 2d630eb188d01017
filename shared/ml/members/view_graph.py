"""The view's network as an OpenVINO graph, made from the stored weights.

A CLIP ViT (Radford et al. 2021, arXiv 2103.00020) under timm's key names: patch embedding, class
token, positions, a norm, then blocks. Only class tokens are read, so the last block computes no
more than its class token. Needs openvino: import it only where that is installed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from openvino import opset15 as op

from shared.ml.members.weights import Floats

HEAD_SIZE = 64
_EPSILON = 1e-5
_QUICK_GELU = 1.702

Node = Any


class ViewNodes(NamedTuple):
    """Outputs of the view's graph, float32.

    `tokens` `[N, B, D]`: the class token after each block, as the head reads them; `evidence`
    `[N, g, g]`: what each patch adds to the logit through the attention of the class token; `last`
    `[N, L, D]`: all tokens after the last block, or its class token alone.
    """

    tokens: Node
    evidence: Node | None
    last: Node


def view_nodes(
    images: Node,
    weights: Floats,
    pulls: Sequence[np.ndarray[Any, Any]] | None = None,
    *,
    whole: bool = False,
) -> ViewNodes:
    """Build the network behind `images`, normalised float32 `[N, 3, S, S]`.

    `weights` are of the trunk and of the release together. `pulls` are the vectors `[D]` that turn
    what a block adds to the class token into logits, for the blocks whose attention is explained,
    counted from the last; None builds no evidence. `whole` computes every token of the last block.
    """
    blocks = 1 + max(int(key.split(".")[1]) for key in weights if key.startswith("blocks."))
    x = _embedded(images, weights)
    explained = dict(zip(range(blocks - 1, -1, -1), reversed(pulls or ()), strict=False))
    tokens, cells = [], []
    for number in range(blocks):
        part = {
            key.removeprefix(f"blocks.{number}."): value
            for key, value in weights.items()
            if key.startswith(f"blocks.{number}.")
        }
        x, pulled = _block(x, part, explained.get(number), last=number == blocks - 1 and not whole)
        tokens.append(_class_token(x))
        if pulled is not None:
            cells.append(pulled)
    evidence = None
    for each in cells:
        evidence = each if evidence is None else op.add(evidence, each)
    return ViewNodes(op.concat(tokens, 1), _grid(evidence, weights), x)


def _embedded(images: Node, weights: Floats) -> Node:
    kernel = weights["patch_embed.proj.weight"]
    width, patch = kernel.shape[0], kernel.shape[2]
    cells = op.convolution(images, _constant(kernel), [patch, patch], [0, 0], [0, 0], [1, 1])
    rows = op.transpose(op.reshape(cells, [0, width, -1], special_zero=True), [0, 2, 1])
    batch = op.gather(op.shape_of(images), _index([0]), _index(0))
    class_token = weights["cls_token"].reshape(1, 1, width)
    shape = op.concat([batch, _index([1, width])], 0)
    joined = op.concat([op.broadcast(_constant(class_token), shape), rows], 1)
    placed = op.add(joined, _constant(weights["pos_embed"].reshape(1, -1, width)))
    return _norm(placed, weights, "norm_pre")


def _block(
    x: Node, weights: Floats, pull: np.ndarray[Any, Any] | None, *, last: bool
) -> tuple[Node, Node | None]:
    """Return the block's output, of the class token alone if `last`, and the patches' pulls."""
    width = weights["norm1.weight"].shape[0]
    heads = width // HEAD_SIZE
    normed = _norm(x, weights, "norm1")
    q, k, v = (
        _heads(_linear(_class_token(normed) if last and part == 0 else normed, *each), heads)
        for part, each in enumerate(_qkv(weights, width))
    )
    mixed = op.scaled_dot_product_attention(q, k, v, causal=False)
    rows = op.reshape(op.transpose(mixed, [0, 2, 1, 3]), [0, 0, width], special_zero=True)
    residual = _class_token(x) if last else x
    residual = op.add(
        residual, _linear(rows, weights["attn.proj.weight"], weights["attn.proj.bias"])
    )
    hidden = _linear(
        _norm(residual, weights, "norm2"), weights["mlp.fc1.weight"], weights["mlp.fc1.bias"]
    )
    hidden = op.multiply(
        hidden, op.sigmoid(op.multiply(hidden, _constant(np.float32(_QUICK_GELU))))
    )
    mlp = _linear(hidden, weights["mlp.fc2.weight"], weights["mlp.fc2.bias"])
    pulled = None if pull is None else _pulled(q, k, v, weights["attn.proj.weight"], pull)
    return op.add(residual, mlp), pulled


def _pulled(
    q: Node, k: Node, v: Node, proj: np.ndarray[Any, Any], pull: np.ndarray[Any, Any]
) -> Node:
    """Return what each position adds to the logit through this block's attention, `[N, L]`."""
    first = op.slice(q, _index([0]), _index([1]), _index([1]), _index([2]))
    scores = op.matmul(first, k, False, True)
    attention = op.softmax(op.multiply(scores, _constant(np.float32(HEAD_SIZE**-0.5))), 3)
    direction = (pull @ proj).reshape(1, -1, HEAD_SIZE, 1).astype(np.float32)
    worth = op.transpose(op.matmul(v, _constant(direction), False, False), [0, 1, 3, 2])
    return op.reduce_sum(op.multiply(attention, worth), _index([1, 2]), False)


def _qkv(weights: Floats, width: int) -> list[tuple[Any, Any]]:
    weight, bias = weights["attn.qkv.weight"], weights["attn.qkv.bias"]
    return [
        (weight[start : start + width], bias[start : start + width])
        for start in range(0, 3 * width, width)
    ]


def _grid(evidence: Node | None, weights: Floats) -> Node | None:
    if evidence is None:
        return None
    side = round((weights["pos_embed"].size // weights["cls_token"].size - 1) ** 0.5)
    patches = op.slice(evidence, _index([1]), _index([1 + side * side]), _index([1]), _index([1]))
    return op.reshape(patches, [0, side, side], special_zero=True)


def _class_token(x: Node) -> Node:
    return op.slice(x, _index([0]), _index([1]), _index([1]), _index([1]))


def _heads(x: Node, heads: int) -> Node:
    split = op.reshape(x, [0, 0, heads, HEAD_SIZE], special_zero=True)
    return op.transpose(split, [0, 2, 1, 3])


def _norm(x: Node, weights: Floats, name: str) -> Node:
    normed = op.mvn(x, _index([-1]), True, _EPSILON, "INSIDE_SQRT")
    scaled = op.multiply(normed, _constant(weights[f"{name}.weight"]))
    return op.add(scaled, _constant(weights[f"{name}.bias"]))


def _linear(x: Node, weight: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> Node:
    return op.add(op.matmul(x, _constant(weight), False, True), _constant(bias))


def _constant(value: np.ndarray[Any, Any] | np.float32) -> Node:
    return op.constant(np.asarray(value, np.float32))


def _index(value: int | list[int]) -> Node:
    return op.constant(np.array(value, np.int64))
