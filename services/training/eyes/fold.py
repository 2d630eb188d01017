"""One member of the eyes, trained on some sources and judged on others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from services.training.eyes.head import Head, fit_head
from services.training.eyes.sampling import draw_weights
from services.training.eyes.tune import TuneConfig, UpperBlocks, score, tune
from services.training.eyes.workspace import Standard, Workspace, standard_of
from services.training.fit.training import device_of
from shared.ml.members.view_torch import ViewNetwork
from shared.ml.members.weights import Floats

# Photos that the first head is fitted on: it only has to be a good start.
HEAD_PHOTOS = 1500
# The tuned view in the folder of a run.
VIEW = "view.pt"


@dataclass(frozen=True, slots=True)
class TilesHead:
    """A linear head on statistics of tiles; see `shared.ml.statistics.StatisticsNetwork`."""

    standard: Standard
    head: Head

    def logits(
        self, space: Workspace, rows: NDArray[np.int64], version: int
    ) -> NDArray[np.float64]:
        """Return the mean over tiles of the logits, float64 `[M]`."""
        return self.head.logits(space.tile_means(rows, version, self.standard))


def first_head(
    space: Workspace, weights: Floats, trunk_blocks: int, rows: NDArray[np.int64], seed: int
) -> tuple[UpperBlocks, NDArray[np.int64]]:
    """Fit the regression's head on class tokens of the untuned network.

    `weights` are those of all blocks as they were pretrained. Returns the network with that head,
    and the photos that it was fitted on.
    """
    view = ViewNetwork.from_weights(weights, trunk_blocks).eval()
    rng = np.random.default_rng(seed)
    labels = space.columns.label
    part = [rng.permutation(rows[labels[rows] == label])[: HEAD_PHOTOS // 2] for label in (0, 1)]
    fitted = np.sort(np.concatenate(part))
    width = view.head.in_features
    blank = Head(
        np.zeros(width, np.float32), np.ones(width, np.float32), np.zeros(width, np.float32), 0.0
    )
    network = UpperBlocks(view, blank)
    features, targets, sources = [], [], []
    for version in range(space.tokens.shape[1]):
        ready = fitted[space.have_tokens[fitted, version]]
        ready = ready[version :: space.tokens.shape[1]]
        if not len(ready):
            continue
        _, found = score(network, space.tokens, space.classes, ready, version)
        features.append(found)
        targets.append(labels[ready])
        sources.append(space.columns.repository[ready])
    head = fit_head(np.concatenate(features), np.concatenate(targets), np.concatenate(sources))
    return UpperBlocks(view, head), fitted


def train_view(
    space: Workspace,
    weights: Floats,
    trunk_blocks: int,
    rows: NDArray[np.int64],
    config: TuneConfig,
    folder: Path,
    say: Callable[[str], None],
) -> UpperBlocks:
    """Fit head and upper blocks on `rows`; checkpoints lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    network, _ = first_head(space, weights, trunk_blocks, rows, config.seed)
    say("the first head is fitted")
    network.to(device_of("auto"))
    content = np.stack([space.classes[row, 0, -1] for row in rows]).astype(np.float32)
    chance = draw_weights(space.columns, rows, content, config.seed)
    tune(
        network,
        space.tokens,
        space.classes,
        space.columns.label,
        chance,
        rows,
        space.have_tokens,
        config,
        folder / "tuning.pt",
        say,
    )
    network.cpu()
    torch.save(
        {"state": network.trained(), "center": network.center, "spread": network.spread},
        folder / VIEW,
    )
    return network


def train_tiles(space: Workspace, rows: NDArray[np.int64], c: float) -> TilesHead:
    """Fit the tiles' head on `rows`, both versions of each where they are computed."""
    standard = standard_of(space, rows[::4])
    means, labels, sources = [], [], []
    for version in range(space.statistics.shape[1]):
        ready = rows[space.have_statistics[rows, version]]
        means.append(space.tile_means(ready, version, standard))
        labels.append(space.columns.label[ready])
        sources.append(space.columns.repository[ready])
    head = fit_head(np.concatenate(means), np.concatenate(labels), np.concatenate(sources), c)
    return TilesHead(standard, head)
