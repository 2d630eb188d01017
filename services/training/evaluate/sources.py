"""What happens to each generator and each real source."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from services.training.data.photos import Row
from services.training.evaluate.decisions import GENERATED, REAL, Verdicts
from services.training.evaluate.metrics import Scores, auc

_COMPACT = ("label", "source", "n", "auc", "called_ai_generated", "called_real")


def by_source(
    rows: Sequence[Row], logits: Scores, probability: Scores, verdicts: Verdicts
) -> list[dict[str, Any]]:
    """Return one entry per generator and per real source, by class, largest first.

    `auc` of a generator is against all real photos of `rows`, that of a real source against all
    generated ones; None where the other class is absent.
    """
    members: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        members[row.label, row.family].append(index)
    labels = np.array([row.label for row in rows])
    table = [
        {
            "label": "ai_generated" if label else "real",
            "source": family,
            "n": len(indices),
            "auc": _auc_against(logits, np.array(indices), labels != label, label),
            "mean_probability": float(probability[indices].mean()),
            "called_ai_generated": float((verdicts[indices] == GENERATED).mean()),
            "called_real": float((verdicts[indices] == REAL).mean()),
        }
        for (label, family), indices in members.items()
    ]
    return sorted(table, key=lambda entry: (entry["label"], -entry["n"], entry["source"]))


def compact(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the table for every tier: fewer columns, rounded to four digits."""
    return [
        {
            key: round(entry[key], 4) if isinstance(entry[key], float) else entry[key]
            for key in _COMPACT
        }
        for entry in table
    ]


def _auc_against(
    logits: Scores, indices: np.ndarray[Any, np.dtype[np.int64]], others: Any, label: int
) -> float | None:
    other = logits[others]
    if not len(other):
        return None
    scores = np.concatenate([logits[indices], other])
    truth = np.concatenate([np.full(len(indices), label), np.full(len(other), 1 - label)])
    return auc(truth, scores)
