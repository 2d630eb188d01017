"""Rounds of augmented batches, reproducible from the seed alone."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from services.training.config import RunConfig
from services.training.data.content import Groups, balanced
from services.training.data.photos import Row, sampling_weights
from services.training.fit.augment import augment
from shared.ml.preprocess import UInt8Array, decode

# Row index and the seed of its augmentation.
Draw = tuple[int, int]


class AugmentedPhotos(Dataset[tuple[UInt8Array, int]]):
    """Photos by draw. The draw carries its own seed, so workers and resumption change nothing."""

    def __init__(self, rows: tuple[Row, ...], config: RunConfig) -> None:
        self.rows = rows
        self.config = config

    def __getitem__(self, draw: Draw) -> tuple[UInt8Array, int]:
        index, seed = draw
        row = self.rows[index]
        pixels = decode(row.path.read_bytes(), self.config.resize_short)
        return augment(pixels, self.config.augment, np.random.default_rng(seed)), row.label


class RoundLoader:
    """Gives the batches of one round: uint8 `[B, crop, crop, 3]` and labels int64 `[B]`."""

    def __init__(
        self, rows: tuple[Row, ...], config: RunConfig, groups: Groups | None = None
    ) -> None:
        """Draw from `rows`; `groups` int64 `[N]` are content groups to be balanced, if any."""
        self._dataset = AugmentedPhotos(rows, config)
        self._config = config
        self._weights = sampling_weights(rows, config.data)
        if groups is not None:
            labels = np.array([row.label for row in rows])
            self._weights = balanced(self._weights, labels, groups)

    def draws(self, number: int) -> list[Draw]:
        """Return the draws of round `number`: exactly half of each class, shuffled."""
        rng = np.random.default_rng([self._config.seed, number])
        labels = np.array([row.label for row in self._dataset.rows])
        half = self._config.fit.samples_per_round // 2
        chosen = np.concatenate([self._choose(labels == label, half, rng) for label in (0, 1)])
        rng.shuffle(chosen)
        seeds = rng.integers(0, 2**62, len(chosen))
        return list(zip(chosen.tolist(), seeds.tolist(), strict=True))

    def _choose(
        self, mask: NDArray[np.bool_], count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        indices = np.flatnonzero(mask)
        weights = self._weights[indices]
        return rng.choice(indices, size=count, p=weights / weights.sum())

    def batches(self, number: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the batches of round `number`."""
        loader = DataLoader(
            self._dataset,
            batch_size=self._config.fit.batch_size,
            sampler=self.draws(number),
            num_workers=self._config.fit.workers,
            drop_last=False,
        )
        yield from loader
