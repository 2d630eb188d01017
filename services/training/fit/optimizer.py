"""What is trained, how fast, and where it starts from."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from services.training.config import FitConfig
from services.training.errors import TrainingError
from shared.ml.network import Detector


def mean_weights(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Return the element-wise mean of saved weights of one architecture.

    Raises TrainingError when a file is missing or the files do not fit together.
    """
    absent = [str(path) for path in paths if not path.is_file()]
    if absent:
        raise TrainingError(f"the initial runs lack {absent}: train them first")
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    if any(state.keys() != states[0].keys() for state in states):
        raise TrainingError("the initial runs are of different architectures")
    return {
        key: torch.stack([state[key].float() for state in states]).mean(0).to(value.dtype)
        for key, value in states[0].items()
    }


def frozen_modules(backbone: nn.Module, stages: int) -> Iterator[nn.Module]:
    """Yield the stem and the first `stages` stages; nothing for 0."""
    if not stages:
        return
    for name in ("conv_stem", "bn1"):
        yield backbone.get_submodule(name)
    for index in range(stages):
        yield backbone.get_submodule(f"blocks.{index}")


def make_optimizer(model: Detector, fit: FitConfig) -> torch.optim.Optimizer:
    """AdamW with a slower backbone, and no decay on biases and norms."""
    for module in frozen_modules(model.backbone, fit.freeze_stages):
        module.requires_grad_(False)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.backbone.named_parameters():
        if parameter.requires_grad:
            key = name.startswith("classifier"), parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "peak_lr": fit.learning_rate * (1.0 if head else fit.backbone_scale),
                "weight_decay": fit.weight_decay if decays else 0.0,
            }
            for (head, decays), parameters in groups.items()
        ],
        lr=fit.learning_rate,
    )


def schedule(share: float, warmup: float) -> float:
    """Linear warm-up, then a half cosine to zero; `share` of the schedule done, 0..1."""
    if share < warmup:
        return max(share, 1e-3) / warmup
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))
