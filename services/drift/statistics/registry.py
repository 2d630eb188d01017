"""The tests by name: what they look at, from which effect on they count, and their version.

Every test here drifts towards large values and small p-values; `direction` says so as data.
"""

from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    """What a test compares."""

    SCORE = "score"
    LABELS = "labels"
    EMBEDDING = "embedding"
    MIX = "mix"


class Direction(StrEnum):
    """Which values mean drift."""

    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Entry:
    """One test. `threshold` is in the unit of its value; raise `version` when values change."""

    name: str
    subject: Subject
    threshold: float
    direction: Direction = Direction.LARGE
    version: int = 1


PSI = Entry("psi", Subject.SCORE, 0.08)
KS = Entry("ks", Subject.SCORE, 0.05)
JENSEN_SHANNON = Entry("jensen_shannon", Subject.SCORE, 0.12)
WASSERSTEIN = Entry("wasserstein", Subject.SCORE, 0.1)
CHI2_LABELS = Entry("chi2_labels", Subject.LABELS, 0.06)
MEAN_PROBABILITY = Entry("mean_probability", Subject.SCORE, 0.02)
UNCERTAIN_RATE = Entry("uncertain_rate", Subject.LABELS, 0.03)
CONFIDENCE = Entry("confidence", Subject.SCORE, 0.02)
MMD = Entry("mmd", Subject.EMBEDDING, 0.0015, version=2)
NEW_CLUSTER = Entry("new_cluster", Subject.EMBEDDING, 0.02)
# Of each input property's shares. A large move is wanted: uploads always vary.
TOTAL_VARIATION = Entry("total_variation", Subject.MIX, 0.2)

REGISTRY = {
    entry.name: entry
    for entry in (
        PSI, KS, JENSEN_SHANNON, WASSERSTEIN, CHI2_LABELS, MEAN_PROBABILITY, UNCERTAIN_RATE,
        CONFIDENCE, MMD, NEW_CLUSTER, TOTAL_VARIATION,
    )
}  # fmt: skip
