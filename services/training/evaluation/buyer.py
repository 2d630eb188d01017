"""What the verdicts come to for somebody who buys them: of 100 photos, so many."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.evaluate.decisions import GENERATED, REAL, UNCERTAIN, Verdicts
from services.training.evaluate.metrics import Labels, Scores, auc
from services.training.evaluation.intervals import share_interval

# What each verdict is called, by the photo's class.
_OUTCOMES = {
    1: {"found": GENERATED, "missed": REAL, "undecided": UNCERTAIN},
    0: {"accused": GENERATED, "cleared": REAL, "undecided": UNCERTAIN},
}
_CLASSES = {1: "generated", 0: "real"}


def buyers_table(labels: Labels, verdicts: Verdicts, sources: Sequence[str]) -> dict[str, Any]:
    """Return {"generated": shares, "real": shares}; each class's shares sum to 1.

    Of generated photos `found`, `missed` (called real) and `undecided`; of real ones `accused`,
    `cleared` and `undecided`, with `accused_interval`, 95% by source. Beside them `n` photos and
    `sources`. Both classes must be there.
    """
    table: dict[str, Any] = {}
    for label, word in _CLASSES.items():
        members = labels == label
        of = [source for source, member in zip(sources, members, strict=True) if member]
        table[word] = {"n": int(members.sum()), "sources": len(set(of))}
        table[word] |= _shares(label, verdicts[members])
        if label == 0:
            low, high = share_interval(verdicts[members] == GENERATED, of)
            table[word]["accused_interval"] = [low, high]
    return table


def _shares(label: int, verdicts: Verdicts) -> dict[str, float]:
    return {name: float((verdicts == value).mean()) for name, value in _OUTCOMES[label].items()}


def of_hundred(shares: Sequence[float], digits: int = 0) -> list[str]:
    """Return shares that sum to 1 as numbers that sum to 100, with `digits` decimals.

    The largest remainders are rounded up, so that no photo is lost in the table.
    """
    units = 100 * 10**digits
    exact = np.array(shares) * units
    # Shares are counts over n: what is whole must not fall below by the last bit.
    whole = np.floor(exact + 1e-9)
    missing = round(units - whole.sum())
    for index in np.argsort(whole - exact, kind="stable")[:missing]:
        whole[index] += 1
    return [f"{value / 10**digits:.{digits}f}" for value in whole]


def sentence(table: dict[str, Any]) -> str:
    """Return the table as one sentence."""
    generated, real = table["generated"], table["real"]
    found, missed, open_ = of_hundred([generated[k] for k in _OUTCOMES[1]])
    accused, cleared, unsure = of_hundred([real[k] for k in _OUTCOMES[0]], digits=1)
    return (
        f"of 100 generated photos {found} are found, {missed} missed and {open_} undecided; of 100"
        f" real ones {accused} are accused, {cleared} cleared and {unsure} undecided"
    )


def by_kind(
    labels: Labels,
    kinds: Sequence[str],
    sources: Sequence[str],
    logits: Scores,
    verdicts: Verdicts,
) -> list[dict[str, Any]]:
    """Return one entry per generator family and per kind of real photo, by class, largest first.

    `auc` is against all photos of the other class; None where there are none.
    """
    members: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for position, (label, kind) in enumerate(zip(labels.tolist(), kinds, strict=True)):
        members[label, kind].append(position)
    entries = []
    for (label, kind), listed in members.items():
        index = np.array(listed)
        entries.append(
            {
                "label": "ai_generated" if label else "real",
                "kind": kind,
                "n": len(index),
                "sources": len({sources[number] for number in listed}),
                "auc": _auc_against(labels, logits, index, label),
                **_shares(label, verdicts[index]),
            }
        )
    return sorted(entries, key=lambda entry: (entry["label"], -entry["n"], entry["kind"]))


def _auc_against(
    labels: Labels, logits: Scores, index: NDArray[np.int64], label: int
) -> float | None:
    other = np.flatnonzero(labels != label)
    if not len(other):
        return None
    both = np.concatenate([index, other])
    return auc(labels[both], logits[both])
