"""A finished package measured on native photos, and held against what it says of itself."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from services.training.data.photos import Row
from services.training.evaluate.decisions import Rule, rules_of
from services.training.evaluate.numbers import Evaluation, Judged
from services.training.evaluate.peers import compare, read_scores
from services.training.evaluate.reevaluate import TOLERANCE, differences
from services.training.evaluate.tiers import TIERS as STORED_TIERS
from services.training.evaluation.judging import Cache, Prepare, Say, TierScores, judge
from services.training.evaluation.photos import (
    PhotoSet,
    fingerprint,
    originals_set,
    views_set,
)
from services.training.evaluation.report import (
    Report,
    Sampling,
    report_of,
    splits_of,
    targets,
)
from services.training.evaluation.scorers import digest_of, scorer_of
from services.training.evaluation.tiers import HEADLINE, STEADY, TIERS
from shared.ml.package import ModelPackage, load_package
from shared.ml.preprocess import upright

MAX_PIXELS = 100_000_000
# Tiers of the stored views, in which published detectors were measured too.
VIEW_TIERS = ("clean", "q40")
# Parts of the report that a machine with the views alone makes again.
_OF_VIEWS = ("views", "views_fingerprint")
# Parts that stand beside a package's own numbers and are not made again.
_BESIDE = ("peers", "beside", "bound_coverage", "validation")


# Takes the photos and their scores in the first tier.
Keep = Callable[[PhotoSet, TierScores], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the photos are. `cache` is a folder outside the work tree; None keeps no scores."""

    manifest: Path
    # Folder with the stored views that the manifest names.
    dataset: Path
    # Folder with the originals, `<first two digits>/<SHA-256>`; None: they are not at hand.
    originals: Path | None = None
    cache: Path | None = None
    peers_file: Path | None = None
    trunks: Path | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_package` found: numbers that differ, and what it could not look at."""

    differing: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def evaluate_package(
    directory: Path,
    places: Places,
    *,
    beside: Sequence[Path] = (),
    sampling: Sampling | None = None,
    keep: Keep | None = None,
    views: bool = True,
    say: Say = lambda _line: None,
) -> Report:
    """Judge the test photos with the package in `directory`; `beside` are others on the same ones.

    The report is that of `services.training.evaluation.report.report_of`, with "package", what the
    stored views come to ("views"), the peers on those views ("peers", where there is a file of
    their scores) and "beside" {version: {split: {tier: numbers}}}. Without originals it has the
    views only; `views` False leaves those out. `keep` is given the photos and their scores in the
    first tier.

    Raises PackageError or TrainingError.
    """
    sampling = sampling or Sampling()
    found = load_package(directory, places.trunks)
    report: Report = {"package": found.manifest.version, "precision": "f32"}
    if places.originals is not None:
        test_set = originals_set(places.manifest, places.dataset, places.originals)
        others = [load_package(each, places.trunks) for each in beside]
        report |= _headline(found, others, test_set, places, sampling, keep, say)
    if views:
        report |= _of_views(found, places, sampling, say)
    return report


def _headline(
    found: ModelPackage,
    others: Sequence[ModelPackage],
    test_set: PhotoSet,
    places: Places,
    sampling: Sampling,
    keep: Keep | None,
    say: Say,
) -> Report:
    tiers = (*HEADLINE, *STEADY)
    judged = _judged(found, test_set, tiers, _native_tiers, places, say)
    readable = np.all([scores.readable for scores in judged.values()], axis=0)
    kept = test_set.only(readable)
    report = report_of(kept, _kept(judged, readable), rules_of(found.manifest), sampling, say)
    if keep is not None:
        keep(kept, judged[HEADLINE[0]].at(readable))
    report["unreadable"] = int((~readable).sum())
    report["beside"] = {}
    for other in others:
        prepare = partial(_native_tiers, tiers=HEADLINE)
        scores = _judged(other, test_set, HEADLINE, prepare, places, say)
        rule = rules_of(other.manifest)[0]
        report["beside"][other.manifest.version] = splits_of(
            kept, _kept(scores, readable), rule, sampling
        )
    return report


def _of_views(found: ModelPackage, places: Places, sampling: Sampling, say: Say) -> Report:
    test_set = views_set(places.manifest, places.dataset)
    judged = _judged(found, test_set, VIEW_TIERS, _stored_tiers, places, say)
    readable = np.all([scores.readable for scores in judged.values()], axis=0)
    test_set, judged = test_set.only(readable), _kept(judged, readable)
    rule = rules_of(found.manifest)[0]
    report: Report = {
        "views": splits_of(test_set, judged, rule, sampling),
        "views_fingerprint": fingerprint(test_set),
    }
    if places.peers_file is not None:
        evaluation = _as_evaluation(test_set, judged, rule)
        report["peers"] = compare(evaluation, read_scores(places.peers_file), places.dataset)
    return report


def _judged(
    package: ModelPackage,
    test_set: PhotoSet,
    tiers: Sequence[str],
    prepare: Prepare,
    places: Places,
    say: Say,
) -> dict[str, TierScores]:
    manifest = package.manifest
    rules = rules_of(manifest)
    folder = places.cache / digest_of(package)[:16] if places.cache else None
    say(f"model {manifest.version}: {len(test_set.items)} photos in {', '.join(tiers)}")
    return judge(
        test_set.items,
        tiers,
        prepare,
        scorer_of(package),
        manifest.preprocess,
        asks=lambda logits: np.any([rule.asks(logits) for rule in rules], axis=0),
        jpeg_quality=manifest.recheck.jpeg_quality if manifest.recheck else 75,
        cache=Cache(folder),
        say=say,
    )


def _native_tiers(data: bytes, tiers: Sequence[str] = (*HEADLINE, *STEADY)) -> Mapping[str, bytes]:
    photo = upright(data, MAX_PIXELS)
    return {tier: TIERS[tier](photo) for tier in tiers}


def _stored_tiers(data: bytes) -> Mapping[str, bytes]:
    return {tier: STORED_TIERS[tier](data) for tier in VIEW_TIERS}


def _kept(judged: Mapping[str, TierScores], readable: Any) -> dict[str, TierScores]:
    return {tier: scores.at(readable) for tier, scores in judged.items()}


def _as_evaluation(test_set: PhotoSet, judged: Mapping[str, TierScores], rule: Rule) -> Evaluation:
    """Return the views' scores in the form that peers are compared with."""
    rows = [
        Row(
            path=item.path,
            sha256=item.sha256,
            label=item.label,
            generator=item.generator,
            group=item.group,
            split=item.split,
        )
        for item in test_set.items
    ]

    def of(scores: TierScores) -> Judged:
        logits = scores.scores.logit
        return Judged(
            logits,
            rule.probability(logits),
            rule.verdicts(logits, scores.second),
            scores.second,
            rule.asks(logits),
        )

    splits = test_set.splits
    return Evaluation(
        report={},
        rows={split: tuple(rows[number] for number in index) for split, index in splits.items()},
        judged={
            split: {tier: of(scores.at(index)) for tier, scores in judged.items()}
            for split, index in splits.items()
        },
    )


def check_package(
    directory: Path,
    places: Places,
    *,
    tolerance: float = TOLERANCE,
    sampling: Sampling | None = None,
    say: Say = lambda _line: None,
) -> Checked:
    """Measure again what this machine can, and compare it with the package's evaluation.

    Without originals the native tiers are held to the recorded numbers: their "target" must say of
    them what they are. Raises PackageError or TrainingError.
    """
    found = load_package(directory, places.trunks)
    shipped: Report = json.loads(found.evaluation.read_text(encoding="utf-8"))
    again = evaluate_package(directory, places, sampling=sampling, say=say)
    checked = Checked(unchecked=[name for name in _BESIDE if shipped.get(name)])
    parts = [name for name in shipped if name not in (*_BESIDE, "target")]
    if places.originals is None:
        parts = list(_OF_VIEWS)
        checked.unchecked.append("native tiers, as the originals are not here")
    compared = {name: shipped[name] for name in parts if name in shipped}
    if places.originals is not None and again["test_fingerprint"] != shipped["test_fingerprint"]:
        checked.unchecked.append("native tiers, as other originals are here than were measured")
        compared = {name: shipped[name] for name in _OF_VIEWS if name in shipped}
    checked.differing.extend(differences(compared, again, tolerance))
    if targets(shipped) != shipped.get("target"):
        checked.differing.append("target is not what the recorded numbers come to")
    return checked
