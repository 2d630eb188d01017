"""Fine-tuning: rounds of balanced, augmented photos, an averaged copy, a checkpoint per round."""

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from services.training.config import RunConfig
from services.training.data.content import Groups, content_groups
from services.training.data.photos import Splits
from services.training.errors import TrainingError
from services.training.evaluate.metrics import auc
from services.training.evaluate.scoring import Predictor, labels_of, score
from services.training.fit.loader import RoundLoader
from services.training.fit.optimizer import (
    frozen_modules,
    make_optimizer,
    mean_weights,
    schedule,
)
from services.training.fit.probe import start_from_probe
from shared.ml.network import Detector, build_backbone
from shared.ml.preprocess import UInt8Array
from shared.ml.statistics import SUFFIX

# Called after each batch with the share of the schedule done (0..1) and a line for the reader.
Progress = Callable[[float, str], None]


def no_progress(_share: float, _line: str) -> None:
    """Show nothing."""


CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
HISTORY = "history.jsonl"
# Tiers on which the checkpoint is chosen: as it came, and re-encoded hard.
SELECTION_TIERS = ("clean", "q40")


@dataclass(slots=True)
class State:
    """What a resumed run continues from."""

    round: int = 0
    elapsed_s: float = 0.0
    best_auc: float = -1.0


class Fit:
    """One training run in `directory`; `run` continues from its checkpoint when there is one."""

    def __init__(
        self,
        config: RunConfig,
        splits: Splits,
        base_weights: Path | None,
        directory: Path,
        initial: Sequence[Path] = (),
    ) -> None:
        self.config = config
        self.splits = splits
        self.directory = directory
        fit = config.fit
        if fit.threads:
            torch.set_num_threads(fit.threads)
        self.device = device_of(fit.device)
        torch.manual_seed(config.seed)
        self.model = _network(config, None if initial else base_weights).to(self.device)
        if initial:
            self.model.backbone.load_state_dict(mean_weights(initial))
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.loader = RoundLoader(splits.train, config, self._content_groups(base_weights))
        if fit.probe_draws and not (initial or (directory / CHECKPOINT).exists()):
            start_from_probe(self.model, self.loader, fit.probe_draws)
        self.average = _network(config, None).to(self.device).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.optimizer = make_optimizer(self.model, fit)
        self.steps = 0
        self.state = State()
        self._resume()

    def run(self, progress: Progress = no_progress) -> Path:
        """Train to the end of the schedule; return the path of the best averaged weights."""
        fit = self.config.fit
        if not fit.rounds:
            self._validate(math.nan)
        while self.state.round < fit.rounds and self._share() < 1.0:
            started, before = time.monotonic(), self.state.elapsed_s
            losses = []
            for images, labels in self.loader.batches(self.state.round):
                losses.append(self._step(images, labels))
                self.state.elapsed_s = before + time.monotonic() - started
                progress(self._share(), f"round {self.state.round + 1} loss {losses[-1]:.3f}")
                if self._share() >= 1.0:
                    break
            self.state.round += 1
            last = self.state.round == fit.rounds or self._share() >= 1.0
            if last or self.state.round % fit.validate_every == 0:
                self._validate(float(np.mean(losses)))
            self._save()
        return self.directory / BEST

    def _content_groups(self, base_weights: Path | None) -> Groups | None:
        config = self.config
        if not config.data.content_groups:
            return None
        if base_weights is None:
            raise TrainingError("content_groups needs base_weights, whose features form the groups")
        self.directory.mkdir(parents=True, exist_ok=True)
        return content_groups(
            self.splits.train,
            config.data.content_groups,
            config.seed,
            config.model.architecture.removesuffix(SUFFIX),
            base_weights,
            config.model.normalization,
            self.directory,
        )

    def _share(self) -> float:
        """Return the share of the schedule that is done, by steps or by time, the later."""
        fit = self.config.fit
        per_round = math.ceil(2 * (fit.samples_per_round // 2) / fit.batch_size)
        share = self.steps / (fit.rounds * per_round)
        if fit.max_minutes:
            share = max(share, self.state.elapsed_s / (60 * fit.max_minutes))
        return min(1.0, share)

    def _step(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        fit = self.config.fit
        self._train_mode()
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak_lr"] * schedule(self._share(), fit.warmup)
        target = labels.to(self.device).float()
        target = target * (1 - fit.label_smoothing) + 0.5 * fit.label_smoothing
        with self._autocast():
            logits = self.model(images.to(self.device))
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.steps += 1
        self._update_average()
        return float(loss.detach())

    def _train_mode(self) -> None:
        self.model.train()
        frozen = frozen_modules(self.model.backbone, self.config.fit.freeze_stages)
        for module in frozen:
            module.eval()
        if self.config.fit.freeze_batch_norm:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def _autocast(self) -> AbstractContextManager[Any]:
        # bf16 needs no loss scaling. On CPU it gains nothing without AMX or AVX512-BF16.
        if self.device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return nullcontext()

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average forgets faster, or it would keep the untrained head.
        decay = min(self.config.fit.ema_decay, (1 + self.steps) / (10 + self.steps))
        pairs = zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        )
        for averaged, current in pairs:
            if averaged.is_floating_point():
                averaged.lerp_(current, 1 - decay)
            else:
                averaged.copy_(current)

    def _validate(self, loss: float) -> None:
        rows = self.splits.validation
        evaluation = self.config.evaluation
        spec = self.config.preprocess_spec(evaluation.input_sizes[0])
        predictor = torch_predictor(self.average, self.device)
        labels = labels_of(rows)
        by_tier = {
            tier: auc(labels, score(rows, tier, predictor, spec, evaluation.batch_size))
            for tier in SELECTION_TIERS
        }
        mean = float(np.mean(list(by_tier.values())))
        record = {
            "round": self.state.round,
            "minutes": round(self.state.elapsed_s / 60, 2),
            "loss": None if math.isnan(loss) else round(loss, 4),
            "lr": max(group["lr"] for group in self.optimizer.param_groups),
            **{f"auc_{tier}": round(value, 4) for tier, value in by_tier.items()},
        }
        with (self.directory / HISTORY).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        if mean > self.state.best_auc:
            self.state.best_auc = mean
            torch.save(self.average.backbone.state_dict(), self.directory / BEST)

    def _save(self) -> None:
        content = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "config": self._identity(),
            "steps": self.steps,
            "round": self.state.round,
            "elapsed_s": self.state.elapsed_s,
            "best_auc": self.state.best_auc,
        }
        temporary = self.directory / (CHECKPOINT + ".part")
        torch.save(content, temporary)
        temporary.replace(self.directory / CHECKPOINT)

    def _identity(self) -> str:
        """Return the configuration as far as it decides what the weights become."""
        return self.config.model_dump_json(
            include={"seed", "resize_short", "data", "model", "augment", "fit"}
        )

    def _resume(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / CHECKPOINT
        if not path.exists():
            return
        content = torch.load(path, map_location=self.device, weights_only=True)
        if content["config"] != self._identity():
            raise TrainingError(
                f"{path} belongs to another configuration. Give this one a new package.version,"
                f" or delete {self.directory} to start over."
            )
        self.model.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["torch_rng"].cpu())
        self.steps = content["steps"]
        self.state = State(content["round"], content["elapsed_s"], content["best_auc"])


def torch_predictor(model: Detector, device: torch.device) -> Predictor:
    """Return a function from uint8 `[N, H, W, 3]` to float32 logits `[N]`."""

    def predict(batch: UInt8Array) -> np.ndarray[Any, np.dtype[np.float32]]:
        with torch.inference_mode():
            logits: np.ndarray[Any, np.dtype[np.float32]] = (
                model(torch.from_numpy(batch).to(device)).cpu().numpy()
            )
        return logits

    return predict


def device_of(name: str) -> torch.device:
    """Return the torch device of a `fit.device` setting; `auto` takes CUDA where it is."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _network(config: RunConfig, base_weights: Path | None) -> Detector:
    backbone = build_backbone(
        config.model.architecture,
        base_weights=base_weights,
        drop_rate=config.model.drop_rate,
        drop_path_rate=config.model.drop_path_rate,
    )
    return Detector(backbone, config.model.normalization)
