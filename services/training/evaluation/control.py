"""How well a photo's class can be told from its file alone, and photos among which it cannot.

Generated photos come in the sizes that generators make. A detector could live on that, so a control
that sees no pixel stands beside it: on a subset where the control fails, the detector must not.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold

from services.training.evaluate.metrics import Labels, Scores, auc
from services.training.evaluation.judging import TierScores

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

FOLDS = 5
# The control must come down to this on the matched subset.
LIMIT = 0.60
# Fewer photos of a class say nothing.
SMALLEST = 25
# Steps of the logarithm in one cell, of pixel area and of aspect, coarse and fine.
_COARSE, _FINE = (0.7, 0.3), (0.35, 0.15)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What shows without looking: of the tier's file, and the original's format. `[N]` each."""

    width: Floats
    height: Floats
    bytes: Floats
    tiles: Floats
    format: NDArray[np.str_]

    @classmethod
    def of(cls, tier: TierScores) -> "FileFacts":
        """Return the facts of a judged tier."""
        facts = {name: values.astype(np.float64) for name, values in tier.facts.items()}
        return cls(
            facts["width"], facts["height"], facts["bytes"], facts["tile_count"], tier.formats
        )

    def at(self, index: NDArray[np.int64]) -> "FileFacts":
        """Return the facts of the photos at `index`."""
        return FileFacts(
            self.width[index],
            self.height[index],
            self.bytes[index],
            self.tiles[index],
            self.format[index],
        )

    @property
    def formats(self) -> Cells:
        """The formats as numbers, int64 `[N]`."""
        return np.unique(self.format, return_inverse=True)[1].astype(np.int64)

    @property
    def features(self) -> Floats:
        """What the control sees, float64 `[N, 8]`."""
        area = self.width * self.height
        return np.stack(
            [
                self.width,
                self.height,
                area,
                self.width / self.height,
                self.bytes,
                self.bytes / area,
                self.tiles,
                self.formats.astype(np.float64),
            ],
            axis=1,
        )


def control_scores(
    facts: FileFacts, labels: Labels, sources: Sequence[str], seed: int
) -> Scores | None:
    """Return the control's P(AI-generated) float64 `[N]`, each by a model without its source.

    Gradient boosting, cross-validated over repositories; None where a class has one source only.
    """
    per_class = [
        len({s for s, y in zip(sources, labels, strict=True) if y == label}) for label in (0, 1)
    ]
    folds = min(FOLDS, *per_class)
    if folds < 2:
        return None
    _, groups = np.unique(np.array(sources), return_inverse=True)
    scores = np.full(len(labels), 0.5)
    features = facts.features
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in split.split(features, labels, groups):
        if len(set(labels[train].tolist())) < 2:
            continue
        model = GradientBoostingClassifier(
            n_estimators=60, max_depth=3, min_samples_leaf=10, random_state=seed
        )
        model.fit(features[train], labels[train])
        scores[test] = model.predict_proba(features[test])[:, 1]
    return scores


@dataclass(frozen=True, slots=True)
class Matched:
    """Photos of both classes, as many of each, that the control can hardly tell apart."""

    # Positions int64 `[M]`, ascending.
    index: NDArray[np.int64]
    control_auc: float
    # What they were matched on.
    matched_on: str


def matched_subset(
    facts: FileFacts,
    labels: Labels,
    sources: Sequence[str],
    control: Scores,
    seed: int,
    limit: float = LIMIT,
) -> Matched | None:
    """Match generated and real photos until the control, trained anew on them, has `limit` at most.

    In every cell of pixel area and aspect as many photos of each class are kept, drawn by `seed`;
    if that is not enough cells become finer, and last they are also of `control`'s own scores. None
    where that leaves fewer than SMALLEST photos of a class; else the first step that meets `limit`,
    or the nearest to it, which its `control_auc` shows.
    """
    best: Matched | None = None
    for name, cells in _ladder(facts, control):
        index = _balanced(cells, labels, np.random.default_rng(seed))
        if len(index) < 2 * SMALLEST:
            continue
        kept = [sources[position] for position in index]
        scores = control_scores(facts.at(index), labels[index], kept, seed)
        if scores is None:
            continue
        found = Matched(index, auc(labels[index], scores), name)
        if best is None or found.control_auc < best.control_auc:
            best = found
        if found.control_auc <= limit:
            return found
    return best


def _ladder(facts: FileFacts, control: Scores) -> Iterator[tuple[str, Cells]]:
    def sizes(steps: tuple[float, float]) -> list[Cells]:
        area, aspect = (np.log(facts.width * facts.height), np.log(facts.width / facts.height))
        return [_steps(area, steps[0]), _steps(aspect, steps[1])]

    density = _steps(np.log(facts.bytes / (facts.width * facts.height)), 0.4)
    yield "area and aspect", _joint(sizes(_COARSE))
    yield "area, aspect and format", _joint([*sizes(_COARSE), facts.formats])
    yield "area, aspect and format, finer", _joint([*sizes(_FINE), facts.formats])
    yield (
        "area, aspect, format and bytes per pixel",
        _joint([*sizes(_FINE), facts.formats, density]),
    )
    for bins in (8, 16, 32):
        by_control = np.minimum((control * bins).astype(np.int64), bins - 1)
        yield (
            f"area, aspect, format and the control's own score in {bins} steps",
            _joint([*sizes(_COARSE), facts.formats, by_control]),
        )
        yield f"the control's own score in {bins} steps", by_control


def _steps(values: Floats, step: float) -> Cells:
    return np.round(values / step).astype(np.int64)


def _joint(parts: Sequence[Cells]) -> Cells:
    """Return one number per combination."""
    return np.unique(np.stack(parts, axis=1), axis=0, return_inverse=True)[1].astype(np.int64)


def _balanced(cells: Cells, labels: Labels, rng: np.random.Generator) -> NDArray[np.int64]:
    members: defaultdict[int, list[list[int]]] = defaultdict(lambda: [[], []])
    for position, (cell, label) in enumerate(zip(cells.tolist(), labels.tolist(), strict=True)):
        members[cell][label].append(position)
    kept: list[int] = []
    for cell in sorted(members):
        both = members[cell]
        count = min(map(len, both))
        for listed in both:
            kept += rng.permutation(np.array(listed, dtype=np.int64))[:count].tolist()
    return np.array(sorted(kept), dtype=np.int64)


def control_numbers(
    facts: FileFacts,
    labels: Labels,
    sources: Sequence[str],
    logits: Scores,
    seed: int,
    interval: Callable[[NDArray[np.int64]], Any],
) -> dict[str, Any]:
    """Return the control's AUC, and control and detector on the matched subset.

    `interval` gives the detector's AUC interval on photos. "matched" is None where there is no
    such subset; "gap" is the detector's AUC on all photos minus that on the matched ones.
    """
    control = control_scores(facts, labels, sources, seed)
    if control is None:
        return {"control_auc": None, "matched": None}
    numbers: dict[str, Any] = {"control_auc": auc(labels, control), "matched": None}
    found = matched_subset(facts, labels, sources, control, seed)
    if found is None:
        return numbers
    on_matched = auc(labels[found.index], logits[found.index])
    numbers["matched"] = {
        "n_of_each_class": len(found.index) // 2,
        "matched_on": found.matched_on,
        "control_auc": found.control_auc,
        "auc": on_matched,
        "auc_interval": interval(found.index),
        "gap": auc(labels, logits) - on_matched,
    }
    return numbers
