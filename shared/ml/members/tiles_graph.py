"""The tiles' network as an OpenVINO graph, made from the stored weights.

`shared.ml.statistics.StatisticsNetwork` over a TensorFlow EfficientNet-Lite (Tan and Le 2019, arXiv
1905.11946; the Lite variants have ReLU6 and no squeeze-and-excitation) under timm's key names:
stem, the first five stages, then one logit from the statistics of four of them.
Needs openvino: import it only where that is installed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from openvino import opset15 as op

from shared.ml.members.weights import Floats

# As `shared.ml.statistics` has them, which only torch can import: a test holds them together.
STAGES = (1, 2, 3, 4)
LIMIT = 6.0
EPSILON = 1e-5
# Of every stage's first block; kernels and widths are in the weights' own shapes.
_STRIDES = (1, 2, 2, 2, 1)
_STEM_STRIDE = 2
# TensorFlow's, which timm's `tf_` networks keep.
_NORM_EPSILON = 1e-3
# Height and width of [N, C, h, w].
_AREA = (2, 3)

Node = Any
Array = np.ndarray[Any, Any]


class TilesNodes(NamedTuple):
    """Outputs of the tiles' graph, float32.

    `logits` `[N]`; `evidence` `[N, h, w]`: what each cell of the coarsest stage adds to the logit,
    so that its mean plus the head's bias is the logit.
    """

    logits: Node
    evidence: Node | None


class _Moments(NamedTuple):
    """Of one stage: means and deviations over its cells, `[N, C, 1, 1]` each."""

    mean: Node
    deviation: Node


def tiles_nodes(images: Node, weights: Floats, *, evidence: bool) -> TilesNodes:
    """Build the network behind `images`, normalised float32 `[N, 3, S, S]`.

    `weights` is the state of a `StatisticsNetwork`, as `read_state` gives it; batch norms may be
    folded or not. Raises KeyError when one is missing.
    """
    stages = _stages(images, weights)
    moments = [_moments(features) for features in stages]
    raw = op.subtract(_joined(moments), _constant(weights["center"][None]))
    scaled = op.divide(raw, _constant(weights["spread"][None]))
    standardised = op.clamp(scaled, -LIMIT, LIMIT)
    head, bias = weights["classifier.weight"].reshape(1, -1), weights["classifier.bias"]
    logits = op.add(op.matmul(standardised, _constant(head), False, True), _constant(bias))
    cells = None
    if evidence:
        worth = op.multiply(standardised, _constant(head))
        cells = _evidence(stages, moments, op.divide(worth, _not_zero(raw)), weights["center"])
    return TilesNodes(op.reshape(logits, [-1], special_zero=False), cells)


def _stages(images: Node, weights: Floats) -> list[Node]:
    x = op.clamp(_convolved(images, weights, "conv_stem", "bn1", stride=_STEM_STRIDE), 0.0, 6.0)
    found = []
    for stage, stride in enumerate(_STRIDES):
        number = 0
        while any(key.startswith(f"blocks.{stage}.{number}.") for key in weights):
            x = _block(x, weights, f"blocks.{stage}.{number}.", stride if number == 0 else 1)
            number += 1
        if stage in STAGES:
            found.append(x)
    return found


def _block(x: Node, weights: Floats, name: str, stride: int) -> Node:
    """Return an inverted residual's output, linear; the first stage's has no expansion."""
    steps = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
    if f"{name}conv_pwl.weight" in weights:
        steps = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
    y = x
    for convolution, norm in steps:
        step = stride if convolution == "conv_dw" else 1
        y = _convolved(y, weights, name + convolution, name + norm, stride=step)
        if (convolution, norm) != steps[-1]:
            y = op.clamp(y, 0.0, 6.0)
    same = stride == 1 and _channels(x) == _channels(y)
    return op.add(x, y) if same else y


def _convolved(x: Node, weights: Floats, name: str, norm: str, *, stride: int) -> Node:
    """Convolve with TensorFlow's "same" padding, the batch norm's scale in the kernel."""
    kernel = weights[f"{name}.weight"]
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _NORM_EPSILON)
    shift = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel = kernel * scale[:, None, None, None]
    steps, none = [stride, stride], [0, 0]
    if kernel.shape[1] == 1 and _channels(x) > 1:
        # Depthwise: a group for each channel.
        grouped = _constant(kernel[:, None])
        y = op.group_convolution(x, grouped, steps, none, none, [1, 1], "same_upper")
    else:
        y = op.convolution(x, _constant(kernel), steps, none, none, [1, 1], "same_upper")
    return op.add(y, _constant(shift.reshape(1, -1, 1, 1)))


def _moments(features: Node) -> _Moments:
    mean = op.reduce_mean(features, _index(_AREA), True)
    apart = op.subtract(features, mean)
    variance = op.reduce_mean(op.multiply(apart, apart), _index(_AREA), True)
    return _Moments(mean, op.sqrt(op.add(variance, _constant(EPSILON))))


def _joined(moments: Sequence[_Moments]) -> Node:
    """Return the statistics `[N, F]`: each stage's means, then its deviations."""
    both = op.concat([part for moment in moments for part in moment], 1)
    return op.squeeze(both, _index(_AREA))


def _not_zero(raw: Node) -> Node:
    small = op.less(op.abs(raw), _constant(EPSILON))
    return op.select(small, _constant(EPSILON), raw)


def _evidence(
    stages: Sequence[Node], moments: Sequence[_Moments], slope: Node, center: Array
) -> Node:
    """Return the cells' worths on the coarsest grid; see `StatisticsNetwork.read`."""
    grid = [stages[-1].get_output_partial_shape(0)[axis].get_length() for axis in _AREA]
    total, start = None, 0
    for features, moment in zip(stages, moments, strict=True):
        width = _channels(features)
        mean, deviation = (
            (
                op.unsqueeze(_columns(slope, first, first + width), _index(_AREA)),
                _constant(center[first : first + width].reshape(1, -1, 1, 1)),
            )
            for first in (start, start + width)
        )
        start += 2 * width
        cells = _on_grid(_cells(features, moment, mean, deviation), grid)
        total = cells if total is None else op.add(total, cells)
    return op.squeeze(total, _index([1]))


def _cells(
    features: Node, moment: _Moments, mean: tuple[Node, Node], deviation: tuple[Node, Node]
) -> Node:
    """Return what each cell adds, `[N, 1, h, w]`; of both statistics slope and centre are given."""
    apart = op.subtract(features, moment.mean)
    squared = op.add(op.multiply(apart, apart), _constant(EPSILON))
    # The deviation itself is the mean of (variance of the cell + epsilon) / deviation.
    spread = op.divide(squared, moment.deviation)
    of_means = op.multiply(mean[0], op.subtract(features, mean[1]))
    of_deviations = op.multiply(deviation[0], op.subtract(spread, deviation[1]))
    return op.reduce_sum(op.add(of_means, of_deviations), _index([1]), True)


def _on_grid(cells: Node, grid: Sequence[int]) -> Node:
    """Average `[N, 1, h, w]` down to `grid` (h, w), keeping each photo's mean."""
    pooled = op.adaptive_avg_pool(cells, _index(grid))
    means = (op.reduce_mean(each, _index(_AREA), True) for each in (cells, pooled))
    return op.add(pooled, op.subtract(*means))


def _columns(x: Node, start: int, end: int) -> Node:
    return op.slice(x, _index([start]), _index([end]), _index([1]), _index([1]))


def _channels(x: Node) -> int:
    return int(x.get_output_partial_shape(0)[1].get_length())


def _constant(value: Array | float) -> Node:
    return op.constant(np.asarray(value, np.float32))


def _index(value: Sequence[int]) -> Node:
    return op.constant(np.array(value, np.int64))
