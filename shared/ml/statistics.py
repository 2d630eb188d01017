"""A head that reads how textures vary, not what is shown: means and deviations of early features.

Behind an ImageNet network's last stage stand objects, and which objects a training set holds as
real or as generated is an accident: a detector that reads them calls every plate of food real.
Means and standard deviations over the cells of the stages before it (the statistics by which Gatys
et al. 2015, arXiv 1505.07376, describe textures) carry far less of that. docs/experiments.md has
the measurement on sources held out.

Needs torch: import it only where torch is installed.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import nn

# `architecture` of such a network: a timm name and this.
SUFFIX = "+statistics"
# Stages whose output is read, by timm's numbering of an EfficientNet's `blocks`; what follows the
# last of them is left out of the network.
STAGES = (1, 2, 3, 4)
# Added to a variance before its root, so that a flat photo has a gradient.
_EPSILON = 1e-5
# Standardised statistics beyond this count no further: no single channel may decide.
LIMIT = 6.0


class Reading(NamedTuple):
    """What one pass over N photos finds.

    `logits` `[N, 1]`; `pooled` `[N, F]`, what the linear head reads; `evidence` `[N, h, w]`, where
    it was asked for.
    """

    logits: torch.Tensor
    pooled: torch.Tensor
    evidence: torch.Tensor | None


class StatisticsNetwork(nn.Module):
    """The first stages of a timm EfficientNet, and one logit from their feature statistics.

    Takes normalised photos float `[N, 3, H, W]`, returns `[N, 1]`. A statistic f counts as
    clip((f - center) / spread, ±LIMIT) times its weight in `classifier`.
    """

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, backbone: nn.Module, drop_rate: float = 0.0) -> None:
        super().__init__()
        parts = cast(Any, backbone)
        self.conv_stem, self.bn1 = parts.conv_stem, parts.bn1
        self.blocks = parts.blocks[: STAGES[-1] + 1]
        count = self._count()
        self.register_buffer("center", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.drop = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(count, 1)
        # No opinion before training: see build_backbone.
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits `[N, 1]` of normalised photos `[N, 3, H, W]`."""
        return cast(torch.Tensor, self.classifier(self.drop(self._standardised(images))))

    def statistics(self, images: torch.Tensor) -> torch.Tensor:
        """Return the statistics `[N, F]` as they are: each stage's means, then its deviations."""
        return _joined(_moments(features) for features in self._stages(images))

    def read(self, images: torch.Tensor, *, evidence: bool) -> Reading:
        """Return logits, standardised statistics and evidence on the coarsest stage's cells.

        The evidence is exact, as a class activation map is: a mean is one over cells, and a
        standard deviation is the mean of (x - mean)^2 / deviation. So the map's mean plus the
        head's bias is the logit. Bringing a finer stage to the coarser grid can shift its mean
        where the sides do not divide; the difference is given back to all cells alike.
        """
        stages = list(self._stages(images))
        moments = [_moments(features) for features in stages]
        standardised = self._clipped(_joined(moments))
        cells = self._evidence(stages, moments, standardised) if evidence else None
        return Reading(self.classifier(standardised), standardised, cells)

    def _evidence(
        self,
        stages: Sequence[torch.Tensor],
        moments: Sequence[torch.Tensor],
        standardised: torch.Tensor,
    ) -> torch.Tensor:
        weights = self.classifier.weight[0]
        # What one unit of a statistic adds, and what its standardised value adds beyond that.
        raw = _joined(moments) - self.center
        safe = torch.where(raw.abs() < _EPSILON, torch.full_like(raw, _EPSILON), raw)
        slope = weights * standardised / safe
        maps, start = [], 0
        for features, moment in zip(stages, moments, strict=True):
            end = start + moment.shape[1]
            maps.append(_cells(features, moment, slope[:, start:end], self.center[start:end]))
            start = end
        grid = maps[-1].shape[-2:]
        return torch.stack([on_grid(each, grid) for each in maps]).sum(0)

    @torch.no_grad()
    def start_from(
        self,
        center: torch.Tensor,
        spread: torch.Tensor,
        weights: torch.Tensor,
        bias: torch.Tensor,
    ) -> None:
        """Take a linear probe of `statistics`: float `[F]`, `[F]`, `[F]` and a scalar."""
        self.center.copy_(center)
        self.spread.copy_(spread)
        self.classifier.weight.copy_(weights[None])
        self.classifier.bias.copy_(bias.reshape(1))

    def _stages(self, images: torch.Tensor) -> Iterator[torch.Tensor]:
        features = self.bn1(self.conv_stem(images))
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in STAGES:
                yield features

    def _standardised(self, images: torch.Tensor) -> torch.Tensor:
        return self._clipped(self.statistics(images))

    def _clipped(self, statistics: torch.Tensor) -> torch.Tensor:
        return ((statistics - self.center) / self.spread).clamp(-LIMIT, LIMIT)

    @torch.no_grad()
    def _count(self) -> int:
        was, _ = self.training, self.eval()
        count = self.statistics(torch.zeros(1, 3, 64, 64)).shape[1]
        self.train(was)
        return count


def _moments(features: torch.Tensor) -> torch.Tensor:
    """Return `[N, 2C]`: means over the cells of `[N, C, h, w]`, then standard deviations."""
    variance, mean = torch.var_mean(features.float(), (2, 3), correction=0)
    return torch.cat([mean, torch.sqrt(variance + _EPSILON)], 1)


def _joined(moments: Sequence[torch.Tensor] | Iterator[torch.Tensor]) -> torch.Tensor:
    return torch.cat(list(moments), 1)


def _cells(
    features: torch.Tensor, moments: torch.Tensor, slope: torch.Tensor, center: torch.Tensor
) -> torch.Tensor:
    """Return what each cell of `[N, C, h, w]` adds to the logit, `[N, h, w]`."""
    mean, deviation = moments.float().chunk(2, 1)
    slope_mean, slope_deviation = slope.chunk(2, 1)
    center_mean, center_deviation = center[None].chunk(2, 1)
    x = features.float()
    # The deviation itself is the mean of (variance of the cell + epsilon) / deviation.
    spread = ((x - mean[..., None, None]) ** 2 + _EPSILON) / deviation[..., None, None]
    of_means = slope_mean[..., None, None] * (x - center_mean[..., None, None])
    of_deviations = slope_deviation[..., None, None] * (spread - center_deviation[..., None, None])
    return (of_means + of_deviations).sum(1)


def on_grid(cells: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
    """Average cells `[N, h, w]` down to `grid` (h, w), keeping each photo's mean."""
    pooled = nn.functional.adaptive_avg_pool2d(cells[:, None], (grid[0], grid[1]))[:, 0]
    return pooled + (cells.mean((1, 2)) - pooled.mean((1, 2)))[:, None, None]
