"""What a run of the eyes works on: the training store's arrays, opened together."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.data.exclusions import read_exclusions
from services.training.errors import TrainingError
from services.training.eyes.sampling import Columns, read_columns
from services.training.eyes.store import DONE, ROWS, STACKS
from services.training.eyes.tokens import CLASSES, TOKENS
from services.training.eyes.tokens import DONE as TOKENS_DONE
from shared.ml.statistics import LIMIT

STATISTICS = "statistics.npy"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Arrays of N photos in V versions, in the order of `columns`; the large ones are mapped."""

    folder: Path
    columns: Columns
    # float16 `[N, V, L, D]` and `[N, V, T, D]`.
    tokens: NDArray[np.float16]
    classes: NDArray[np.float16]
    # bool `[N, V]`: which of them are computed.
    have_tokens: NDArray[np.bool_]
    # float16 `[N, V, K, F]`, where they are computed: bool `[N, V]`.
    statistics: NDArray[np.float16]
    have_statistics: NDArray[np.bool_]

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Return the photos of these splits whose first version is computed, indices `[M]`.

        Photos that `data/exclusions.csv` names are left out, also of a store that was made before.
        """
        wanted = np.isin(self.columns.split, splits) & self.have_tokens[:, 0]
        return np.flatnonzero(wanted & ~np.isin(self.columns.sha256, list(read_exclusions())))

    def tile_means(
        self, rows: NDArray[np.int64], version: int, reference: "Standard"
    ) -> NDArray[np.float32]:
        """Return the mean over tiles of standardised, clipped statistics, float32 `[M, F]`."""
        found = np.empty((len(rows), self.statistics.shape[3]), np.float32)
        for index, row in enumerate(rows):
            each = self.statistics[row, version].astype(np.float32) - reference.center
            found[index] = np.clip(each / reference.spread, -LIMIT, LIMIT).mean(0)
        return found


@dataclass(frozen=True, slots=True)
class Standard:
    """Center and spread of statistics over photos, float32 `[F]`."""

    center: NDArray[np.float32]
    spread: NDArray[np.float32]


def open_workspace(folder: Path, statistics: str = STATISTICS) -> Workspace:
    """Open a training store with its tokens and statistics.

    Raises TrainingError that names what to compute first.
    """
    try:
        columns = read_columns(folder / ROWS)
        arrays = {
            name: np.load(folder / name, mmap_mode="r")
            for name in (STACKS, TOKENS, CLASSES, statistics)
        }
        stored = np.load(folder / DONE)
        tokens_done = np.load(folder / TOKENS_DONE)
        statistics_done = np.load((folder / statistics).with_suffix(".done.npy"))
    except OSError as error:
        raise TrainingError(
            f"the training store {folder} is not complete ({error}): run"
            " `python -m services.training eyes store`, `tokens` and `statistics` first"
        ) from error
    return Workspace(
        folder=folder,
        columns=columns,
        tokens=arrays[TOKENS],
        classes=arrays[CLASSES],
        have_tokens=tokens_done & stored[:, None],
        statistics=arrays[statistics],
        have_statistics=statistics_done & stored[:, None],
    )


def standard_of(space: Workspace, rows: NDArray[np.int64]) -> Standard:
    """Return center and spread of the statistics of `rows`, over versions and tiles."""
    parts = [
        space.statistics[row, version].astype(np.float32)
        for row in rows
        for version in np.flatnonzero(space.have_statistics[row])
    ]
    every = np.concatenate(parts)
    return Standard(every.mean(0), every.std(0) + 1e-4)


def write_json(path: Path, content: object) -> None:
    """Write a report of a run beside its arrays."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
