"""Checks a data set folder: what is broken, what leaks, and what gives the classes away."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from services.training.data.manifest import Record, read_records
from services.training.data.sources.fetch import Tell
from services.training.data.validation.bias import measure, original_features, stored_features
from services.training.data.validation.duplicates import Pair, find_pairs
from services.training.data.validation.inspect import Facts, inspect_all

# A classifier on file features above this AUC is worth a warning: the clue is strong.
_TELLING_AUC = 0.6


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as a near duplicate; see `find_pairs`."""

    distance: int = 6
    correlation: float = 0.95


@dataclass(frozen=True)
class Validation:
    """Everything that was found. `records` and `facts` are the readable photos, in step."""

    records: tuple[Record, ...]
    facts: tuple[Facts, ...]
    n_excluded: int
    schema: tuple[str, ...]
    unreadable: tuple[str, ...]
    altered: tuple[str, ...]
    cut_groups: tuple[str, ...]
    seen_generators: tuple[str, ...]
    pairs: tuple[Pair, ...]

    @cached_property
    def bias(self) -> dict[str, Any]:
        """What the files alone say about the class; computed when first asked for."""
        labels = np.array([int(r.label == "ai_generated") for r in self.records], dtype=np.int64)
        groups = [record.group for record in self.records]
        stored = stored_features(self.facts) if self.facts else None
        return {
            "originals": measure(original_features(self.records), labels, groups),
            "stored files": measure(stored, labels, groups),
        }

    @property
    def errors(self) -> list[str]:
        """What makes training or its evaluation wrong, in words."""
        exact = [(p.first, p.second) for p in self.pairs if p.exact and p.crosses]
        return [
            *self.schema,
            *self.unreadable,
            *self.altered,
            *self.cut_groups,
            *(f"{a.file} ({a.split}) is {b.file} ({b.split})" for a, b in exact),
        ]

    @property
    def warnings(self) -> list[str]:
        """What a person should look at, in words."""
        near = sum(1 for pair in self.pairs if pair.crosses and not pair.exact)
        labels = sum(1 for pair in self.pairs if pair.labels_differ)
        found = list(self.seen_generators)
        if near:
            found.append(f"{near} pairs of near duplicates cross the splits")
        if labels:
            found.append(f"{labels} pairs of like photos have different labels")
        for name, part in self.bias.items():
            auc = (part["classifier"] or {}).get("auc")
            if auc is not None and auc > _TELLING_AUC:
                found.append(f"file features of the {name} tell the classes apart, AUC {auc:.2f}")
        return found

    def summary(self) -> dict[str, Any]:
        """Return the numbers, JSON values, for metrics and for reading by programs."""
        crossing = [pair for pair in self.pairs if pair.crosses]
        return {
            "photos": len(self.records),
            "excluded": self.n_excluded,
            "groups": len({record.group for record in self.records}),
            "generators": len({r.generator for r in self.records if r.label == "ai_generated"}),
            "counts": _counts(self.records),
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "schema": len(self.schema),
            "unreadable": len(self.unreadable),
            "altered": len(self.altered),
            "cut_groups": len(self.cut_groups),
            "exact_duplicates_across_splits": sum(pair.exact for pair in crossing),
            "near_duplicates_across_splits": sum(not pair.exact for pair in crossing),
            "like_photos_with_different_labels": sum(p.labels_differ for p in self.pairs),
            "bias": self.bias,
        }


def validate(
    folder: Path, excluded: dict[str, str], limits: Limits, jobs: int, tell: Tell
) -> Validation:
    """Look at every photo that `folder/manifest.csv` lists, leaving out the excluded hashes.

    Args:
        folder: the data set: manifest.csv and the files that it names.
        excluded: SHA-256 to reason, of photos that take no part.
        limits: what counts as a near duplicate.
        jobs: threads.
        tell: called with (done, all).

    Raises:
        TrainingError: there is no manifest, or it lacks a column that training reads.
    """
    listed, schema = read_records(folder / "manifest.csv")
    wanted = [record for record in listed if record.sha256 not in excluded]
    found = inspect_all([folder / record.file for record in wanted], jobs, tell)
    unreadable, altered = [], []
    records: list[Record] = []
    facts: list[Facts] = []
    for record, item in zip(wanted, found, strict=True):
        if isinstance(item, str):
            unreadable.append(f"{record.file} cannot be read: {item}")
            continue
        if item.sha256 != record.sha256:
            altered.append(f"{record.file} is not the file that the manifest lists (SHA-256)")
        records.append(record)
        facts.append(item)
    return Validation(
        records=tuple(records),
        facts=tuple(facts),
        n_excluded=len(listed) - len(wanted),
        schema=tuple(schema),
        unreadable=tuple(unreadable),
        altered=tuple(altered),
        cut_groups=tuple(cut_groups(records)),
        seen_generators=tuple(seen_generators(records)),
        pairs=tuple(find_pairs(records, facts, limits.distance, limits.correlation)),
    )


def cut_groups(records: Sequence[Record]) -> list[str]:
    """Return a line for each source group that lies on two sides of the split."""
    sides: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        sides[record.group].add(record.side)
    return [
        f"group {group!r} is cut: it is in {' and '.join(sorted(found))}"
        for group, found in sorted(sides.items())
        if len(found) > 1
    ]


def seen_generators(records: Sequence[Record]) -> list[str]:
    """Return a line for each generator of `test_unseen_generator` that training does see."""
    unseen = Counter(r.generator for r in records if r.split == "test_unseen_generator")
    seen = Counter(r.generator for r in records if r.side != "test" and r.label == "ai_generated")
    return [
        f"generator {name!r} has {count} photos in test_unseen_generator and {seen[name]} outside"
        for name, count in sorted(unseen.items())
        if seen[name]
    ]


def _counts(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    counts = Counter((record.split, record.label) for record in records)
    return {
        split: {label: counts[split, label] for label in ("real", "ai_generated")}
        for split in sorted({split for split, _ in counts})
    }
