"""Names what explains a shift best, with the numbers that say so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.drift.analysis.comparison import EmbeddingFinding
from services.drift.statistics.registry import KS, MMD, NEW_CLUSTER, TOTAL_VARIATION, Subject
from shared.contracts.drift import (
    INPUT_DIMENSIONS,
    MODEL_RELEVANT,
    Cause,
    CauseFinding,
    Dimension,
    MixShift,
    SegmentShift,
    Statistic,
)

# A mix explains the scores' shift when this part of their distance vanishes with it.
_EXPLAINS = 0.6
# Or this part of it, when what is left of the distance is too small to count: which part of a weak
# shift vanishes is half chance.
_EXPLAINS_WEAK = 0.3
# Smaller moves of the tenants' or categories' shares are the day's ordinary change.
_TRADE_MOVED = 0.1
# A cluster or a shift sits in a segment that holds this much more of it than of the traffic.
_LOCATED = 0.3

_WORDS = {
    Dimension.FORMAT: "file format",
    Dimension.ENCODER_QUALITY: "JPEG quality",
    Dimension.SIZE: "photo size",
    Dimension.CATEGORY: "category",
    Dimension.TENANT: "tenant",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a scope when its cause is to be named."""

    statistics: Sequence[Statistic]
    mixes: Mapping[Dimension, MixShift]
    segments: Sequence[SegmentShift]
    embedding: EmbeddingFinding | None

    def drifted(self, subject: str) -> list[Statistic]:
        """Return the drifted statistics of a subject."""
        return [each for each in self.statistics if each.drifted and each.subject == subject]

    @property
    def scores_moved(self) -> bool:
        """Whether any statistic of scores or labels has drifted."""
        return bool(self.drifted(Subject.SCORE) or self.drifted(Subject.LABELS))

    @property
    def cluster_found(self) -> bool:
        """Whether embedding space holds a new cluster."""
        return any(each.name == NEW_CLUSTER.name for each in self.drifted(Subject.EMBEDDING))

    @property
    def embeddings_moved(self) -> bool:
        """Whether embeddings as a whole lie elsewhere."""
        return any(each.name == MMD.name for each in self.drifted(Subject.EMBEDDING))

    @property
    def moved_input(self) -> MixShift | None:
        """The property of the files that moved most, when one has drifted."""
        moved = {
            Dimension(each.subject)
            for each in self.statistics
            if each.drifted and each.name == TOTAL_VARIATION.name
        }
        found = [self.mixes[name] for name in INPUT_DIMENSIONS if name in moved]
        return max(found, key=lambda mix: (mix.explained or 0.0, mix.moved_share), default=None)


def name_cause(findings: Findings) -> CauseFinding:
    """Return the cause of a scope's drift; of kind NONE when nothing drifted.

    A new cluster comes first: where files changed too it was found among like files. Then a change
    of files, or of trade, when the scores stayed or their shift vanishes with it.
    """
    if not any(statistic.drifted for statistic in findings.statistics):
        return CauseFinding(kind=Cause.NONE, model_relevant=False, headline="Nothing has drifted.")
    if findings.cluster_found:
        return _new_cluster(findings)
    files = findings.moved_input
    if files and (not findings.scores_moved or _explains(files, findings)):
        return _mix(Cause.INPUT_SHIFT, files, findings)
    trade = _moved_trade(findings)
    if trade and findings.scores_moved:
        return _mix(Cause.TRAFFIC_MIX, trade, findings)
    return _score_shift(findings, files)


def _explains(files: MixShift, findings: Findings) -> bool:
    part = files.explained or 0.0
    distance = max((each.value for each in findings.statistics if each.name == KS.name), default=1)
    return part >= _EXPLAINS or (part >= _EXPLAINS_WEAK and (1 - part) * distance < KS.threshold)


def _moved_trade(findings: Findings) -> MixShift | None:
    found = [
        findings.mixes[name]
        for name in (Dimension.TENANT, Dimension.CATEGORY)
        if name in findings.mixes
    ]
    explaining = [
        mix
        for mix in found
        if mix.moved_share >= _TRADE_MOVED and (mix.explained or 0.0) >= _EXPLAINS
    ]
    return max(explaining, key=lambda mix: mix.explained or 0.0, default=None)


def _mix(kind: Cause, mix: MixShift, findings: Findings) -> CauseFinding:
    what = _WORDS[mix.dimension]
    headline = f"The mix of {what} changed: {mix.moved_share:.0%} of the photos moved"
    if mix.grown is not None:
        headline += f", most to {mix.grown}"
    evidence = [f"{mix.moved_share:.0%} of the photos moved between values of {what}."]
    if findings.scores_moved and mix.explained is not None:
        evidence.append(f"That alone explains {mix.explained:.0%} of the shift of the scores.")
    elif not findings.scores_moved:
        evidence.append("The scores have not moved.")
    if findings.embedding is not None and findings.embedding.matched:
        evidence.append("Among files of the same kind no new cluster of photos was found.")
    return _finding(kind, f"{headline}.", mix.dimension, mix.grown, evidence)


def _new_cluster(findings: Findings) -> CauseFinding:
    assert findings.embedding is not None  # noqa: S101  # a found cluster was looked for
    cluster, place = findings.embedding.cluster, _cluster_place(findings.embedding)
    headline = (
        f"{cluster.current_share:.1%} of the photos are of a kind that made up"
        f" {cluster.reference_share:.1%} of the reference"
    )
    gain = f"A ball in embedding space gained {cluster.gain:.1%} of the traffic"
    evidence = [f"{gain} (p = {cluster.p_value:.1g}, on photos that it was not chosen on)."]
    if findings.embedding.matched:
        evidence.append("Files changed too; the cluster is new among files of the same kind.")
    evidence += _score_evidence(findings)
    if place is None:
        return _finding(Cause.NEW_CLUSTER, f"{headline}.", None, None, evidence)
    dimension, value, inside, outside = place
    evidence.append(
        f"{inside:.0%} of it has {_WORDS[dimension]} {value}, of all photos {outside:.0%}."
    )
    headline = f"{headline}, {inside:.0%} of them with {_WORDS[dimension]} {value}."
    return _finding(Cause.NEW_CLUSTER, headline, dimension, value, evidence)


def _score_shift(findings: Findings, files: MixShift | None) -> CauseFinding:
    evidence = _score_evidence(findings)
    if files is not None and files.explained is not None:
        evidence.append(
            f"The changed {_WORDS[files.dimension]} explains only {files.explained:.0%} of it."
        )
    if findings.embeddings_moved:
        evidence.append("Photos lie elsewhere in embedding space, without one new cluster.")
    place = next((each for each in findings.segments if each.moved and _is_local(each)), None)
    moved = "Scores have" if findings.scores_moved else "The photos' content has"
    if place is None:
        headline = f"{moved} moved, and no change of files or trade explains it."
        return _finding(Cause.SCORE_SHIFT, headline, None, None, evidence)
    evidence.append(
        f"Its own scores moved by {place.score_distance:.2f}; it makes up"
        f" {place.contribution:.0%} of the change of the mean probability."
    )
    headline = f"{moved} moved most where {_WORDS[place.dimension]} is {place.value}."
    return _finding(Cause.SCORE_SHIFT, headline, place.dimension, place.value, evidence)


def _is_local(shift: SegmentShift) -> bool:
    """Say whether a segment holds more of the change than of the photos."""
    return shift.contribution - shift.current_share >= _LOCATED


def _score_evidence(findings: Findings) -> list[str]:
    drifted = findings.drifted(Subject.SCORE) + findings.drifted(Subject.LABELS)
    return [
        f"{each.name} is {each.value:.3f}, threshold {each.threshold:g}"
        f" (p = {each.p_adjusted:.1g} after correction)."
        for each in drifted
    ]


def _cluster_place(finding: EmbeddingFinding) -> tuple[Dimension, str, float, float] | None:
    """Return (dimension, value, share inside, share of all) where the cluster is most at home."""
    best: tuple[Dimension, str, float, float] | None = None
    members = [finding.sample.segments[int(row)] for row in finding.cluster.members]
    for dimension in Dimension:
        inside = Counter(each[dimension] for each in members if dimension in each)
        everywhere = Counter(each.get(dimension) for each in finding.sample.segments)
        if not inside:
            continue
        value, count = inside.most_common(1)[0]
        shares = (count / len(members), everywhere[value] / len(finding.sample))
        lift = shares[0] - shares[1]
        if lift >= _LOCATED and (best is None or lift > best[2] - best[3]):
            best = (dimension, value, *shares)
    return best


def _finding(
    kind: Cause,
    headline: str,
    dimension: Dimension | None,
    value: str | None,
    evidence: list[str],
) -> CauseFinding:
    return CauseFinding(
        kind=kind,
        model_relevant=kind in MODEL_RELEVANT,
        headline=headline,
        dimension=dimension,
        value=value,
        evidence=evidence,
    )
