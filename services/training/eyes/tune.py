"""Tuning of the view's upper blocks on cached tokens of the trunk.

Blocks behind the trunk and the head learn together, from the regression's head, by AdamW with a
warm-up and a cosine. Each step sees a random half of the patches (as FLIP does, Li et al. 2023,
arXiv 2212.00794): half the work, and no patch can be the clue. The outcome is the running mean of
the weights. Runs go on from their checkpoint.
"""

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from services.training.config import Section
from services.training.eyes.head import Head
from shared.ml.members.view_torch import ViewNetwork


class TuneConfig(Section):
    """How long and how fast to tune."""

    steps: int = 300
    batch: int = 32
    block_rate: float = 1.5e-5
    head_rate: float = 3e-4
    weight_decay: float = 0.05
    smoothing: float = 0.05
    # Patches that a step sees.
    keep_patches: float = 0.5
    ema: float = 0.98
    seed: int = 17
    checkpoint_every: int = 50


class UpperBlocks(nn.Module):
    """The blocks behind the trunk, and a head on standardised class tokens of all blocks."""

    center: torch.Tensor
    spread: torch.Tensor

    def __init__(self, view: ViewNetwork, head: Head) -> None:
        super().__init__()
        self.view = view
        self.blocks = nn.ModuleList(list(view.blocks[view.trunk_blocks :]))
        self.head = nn.Linear(len(head.weight), 1)
        self.register_buffer("center", torch.from_numpy(head.center))
        self.register_buffer("spread", torch.from_numpy(head.spread))
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(head.weight)[None])
            self.head.bias.fill_(head.bias)

    def features(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return class tokens of all blocks `[N, B*D]` of tokens `[N, L, D]`, `[N, T, D]`."""
        return torch.cat([classes, self.view.upper_tokens(x)], 1).flatten(1)

    def forward(self, x: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        """Return logits `[N]`."""
        standard = (self.features(x, classes) - self.center) / self.spread
        logits: torch.Tensor = self.head(standard)[:, 0]
        return logits

    def trained(self) -> dict[str, torch.Tensor]:
        """Return what is trained: the blocks and the head."""
        own = {f"blocks.{k}": v for k, v in self.blocks.state_dict().items()}
        return own | {f"head.{k}": v for k, v in self.head.state_dict().items()}

    def take(self, state: dict[str, torch.Tensor]) -> None:
        """Load what `trained` returned."""
        for name, module in (("blocks.", self.blocks), ("head.", self.head)):
            part = {k.removeprefix(name): v for k, v in state.items() if k.startswith(name)}
            module.load_state_dict(part)

    def folded_head(self) -> tuple[NDArray[np.float32], float]:
        """Return head weight `[F]` and bias for class tokens as they are."""
        weight = self.head.weight.detach()[0].numpy()
        head = Head(self.center.numpy(), self.spread.numpy(), weight, float(self.head.bias.detach()))
        return head.folded()


def tune(
    network: UpperBlocks,
    tokens: NDArray[np.float16],
    classes: NDArray[np.float16],
    labels: NDArray[np.int64],
    chance: NDArray[np.float64],
    rows: NDArray[np.int64],
    versions: NDArray[np.bool_],
    config: TuneConfig,
    checkpoint: Path,
    say: Callable[[str], None] = print,
) -> None:
    """Tune `network` in place.

    `tokens` float16 `[N, V, L, D]` and `classes` `[N, V, T, D]` may be memory-mapped; `rows` `[M]`
    are the photos to learn from, drawn by `chance` `[M]`; `versions` bool `[N, V]` says which are
    computed; `labels` int64 `[N]`.
    """
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    network.train()
    optimizer = torch.optim.AdamW(
        [
            {"params": list(network.blocks.parameters()), "lr": config.block_rate},
            {"params": list(network.head.parameters()), "lr": config.head_rate},
        ],
        weight_decay=config.weight_decay,
    )
    peak = [group["lr"] for group in optimizer.param_groups]
    mean = copy.deepcopy(network.trained())
    start, losses, began = 0, [], time.monotonic()
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        network.take(saved["state"])
        optimizer.load_state_dict(saved["optimizer"])
        mean, start = saved["mean"], int(saved["step"])
        rng = np.random.default_rng([config.seed, start])
    for step in range(start, config.steps):
        for group, rate in zip(optimizer.param_groups, peak, strict=True):
            group["lr"] = rate * _schedule(step, config.steps)
        x, first, target = _batch(tokens, classes, labels, chance, rows, versions, config, rng)
        loss = functional.binary_cross_entropy_with_logits(network(x, first), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*network.blocks.parameters(), *network.head.parameters()], 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        _follow(mean, network.trained(), min(config.ema, step / (step + 5)))
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            saved = {"state": network.trained(), "optimizer": optimizer.state_dict()}
            torch.save(saved | {"mean": mean, "step": step + 1}, checkpoint)
            rate = (step + 1 - start) * config.batch / (time.monotonic() - began)
            say(f"step {step + 1}: loss {np.mean(losses[-50:]):.3f}, {rate:.1f} photos/s")
    network.take(mean)
    network.eval()


def _schedule(step: int, steps: int) -> float:
    warm = min(30, steps // 5 + 1)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _batch(
    tokens: NDArray[np.float16],
    classes: NDArray[np.float16],
    labels: NDArray[np.int64],
    chance: NDArray[np.float64],
    rows: NDArray[np.int64],
    versions: NDArray[np.bool_],
    config: TuneConfig,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    drawn = rng.choice(rows, config.batch, p=chance)
    length = tokens.shape[2]
    count = round((length - 1) * config.keep_patches)
    xs, firsts = [], []
    for row in drawn:
        version = rng.choice(np.flatnonzero(versions[row]))
        patches = 1 + np.sort(rng.choice(length - 1, count, replace=False))
        xs.append(tokens[row, version][np.concatenate([[0], patches])])
        firsts.append(classes[row, version])
    target = torch.from_numpy(labels[drawn].astype(np.float32))
    target = target * (1 - config.smoothing) + config.smoothing / 2
    return (
        torch.from_numpy(np.stack(xs)).float(),
        torch.from_numpy(np.stack(firsts)).float(),
        target,
    )


def _follow(mean: dict[str, Any], state: dict[str, torch.Tensor], decay: float) -> None:
    for key, value in state.items():
        mean[key].mul_(decay).add_(value.detach(), alpha=1 - decay)


@torch.inference_mode()
def score(
    network: UpperBlocks,
    tokens: NDArray[np.float16],
    classes: NDArray[np.float16],
    rows: NDArray[np.int64],
    version: int,
    batch: int = 16,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return logits float64 `[M]` and features float32 `[M, B*D]` of `rows` in one version."""
    network.eval()
    logits, features = [], []
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        x = torch.from_numpy(tokens[part, version]).float()
        first = torch.from_numpy(classes[part, version]).float()
        found = network.features(x, first)
        logits.append(network.head((found - network.center) / network.spread)[:, 0].numpy())
        features.append(found.numpy())
    return np.concatenate(logits).astype(np.float64), np.concatenate(features)
