"""Words and the stored JSON of the drift service: what a check found, and why it thinks so.

`DriftReport` is the body of a `drift_reports` row, written by the drift service and read by the
API, the HTML report and the CLI. Shares and probabilities are 0..1, times UTC.
"""

from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

# The tenant that `detector drift simulate` uses, and what its made-up model versions begin with.
SIMULATION = "drift-simulation"


class Severity(StrEnum):
    """How loudly to tell; the order is NONE, WARNING, CRITICAL."""

    NONE = "none"
    WARNING = "warning"
    CRITICAL = "critical"


class Cause(StrEnum):
    """What explains a shift best. The last two concern the model."""

    NONE = "none"  # nothing moved
    INPUT_SHIFT = "input_shift"  # format, encoder quality or size of the photos
    TRAFFIC_MIX = "traffic_mix"  # more from one tenant or category, each judged as before
    NEW_CLUSTER = "new_cluster"  # photos of a kind that the reference hardly knew
    SCORE_SHIFT = "score_shift"  # scores moved, and nothing above explains it


MODEL_RELEVANT = frozenset({Cause.NEW_CLUSTER, Cause.SCORE_SHIFT})


class Dimension(StrEnum):
    """What photos are told apart by. The first three are properties of the files."""

    FORMAT = "format"
    ENCODER_QUALITY = "encoder_quality"
    SIZE = "size"
    CATEGORY = "category"
    TENANT = "tenant"


INPUT_DIMENSIONS = (Dimension.FORMAT, Dimension.ENCODER_QUALITY, Dimension.SIZE)


class RunStatus(StrEnum):
    """How the check of one window ended; each window of a model version has one row."""

    CHECKED = "checked"
    TOO_FEW = "too_few"  # fewer photos than the minimum, even over the longest window
    EMPTY = "empty"  # no photo at all
    NO_REFERENCE = "no_reference"  # nothing to compare with yet


class ReferenceSource(StrEnum):
    """Where a reference comes from."""

    PRODUCTION = "production"  # a frozen window of stored verdicts
    EVALUATION = "evaluation"  # the model package's own evaluation


class ReferenceChoice(StrEnum):
    """What an operator wants a model version to be compared with."""

    EVALUATION = "evaluation"  # its package's own evaluation
    WINDOW = "window"  # a window of stored verdicts that the operator names
    AUTOMATIC = "automatic"  # what the service freezes and renews by itself


class _Frozen(BaseModel):
    # Unknown members are left out: an older program reads what a newer one wrote.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class WindowFacts(_Frozen):
    """The photos that were looked at."""

    start: AwareDatetime
    end: AwareDatetime
    # Judged anew in the window.
    photos: int
    # What tests count: photos of one listing resemble each other, so a job counts once.
    independent: int
    # Photos whose verdict repeats that of the same bytes: traffic, but no evidence.
    reused: int = 0


class ReferenceFacts(_Frozen):
    """What they were compared with."""

    id: UUID
    source: ReferenceSource
    # The window of stored verdicts; an evaluation has none.
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    photos: int
    # An evaluation's photos are weighted: Kish's effective sample size.
    independent: int
    # An operator chose it, and nothing else replaces it.
    chosen: bool = False


class Statistic(_Frozen):
    """One statistic of one comparison. It has `drifted` when it is large and significant."""

    # As in the registry: psi, ks, jensen_shannon, wasserstein, chi2_labels, …
    name: str
    # What was compared: score, labels, embedding, or a dimension's mix.
    subject: str
    value: float
    # The effect from which on it counts; `drifted` needs it and the p-value.
    threshold: float
    p_value: float | None = None
    # After the correction for all tests of the run.
    p_adjusted: float | None = None
    drifted: bool = False
    # Sizes of the two samples, as the test counts them.
    n_reference: int
    n_current: int
    # Version of the test's implementation.
    version: int = 1


class SegmentShift(_Frozen):
    """One value of a dimension, before and now."""

    dimension: Dimension
    # For a tenant its id.
    value: str
    photos: int
    reference_share: float
    current_share: float
    reference_mean_probability: float | None = None
    current_mean_probability: float | None = None
    # Kolmogorov–Smirnov distance between its own scores before and now.
    score_distance: float | None = None
    # Significance of that distance, after the correction over all segments.
    p_adjusted: float | None = None
    # Part of the change of the mean probability that this segment makes, 0..1.
    contribution: float = 0.0
    moved: bool = False


class MixShift(_Frozen):
    """How far the shares of a dimension's values moved, and what of the scores that explains."""

    dimension: Dimension
    # Share of the traffic that went from some values to others (total variation).
    moved_share: float
    # Part of the scores' distance that vanishes when the reference is weighted to the new mix.
    explained: float | None = None
    # The value that grew most, and the one that shrank most.
    grown: str | None = None
    shrunk: str | None = None


class ClusterFinding(_Frozen):
    """A place in embedding space that holds far more photos than before."""

    # Of the window's photos and of the reference's.
    current_share: float
    reference_share: float
    # Photos in it, of those sampled.
    photos: int
    p_value: float
    mean_probability: float
    label_shares: dict[str, float]
    # The photos nearest to its centre.
    examples: list[UUID]


class CauseFinding(_Frozen):
    """The named cause, in words and numbers."""

    kind: Cause
    model_relevant: bool
    headline: str
    # The segment that moved most, when the cause lies in one.
    dimension: Dimension | None = None
    value: str | None = None
    # Each a sentence with its numbers.
    evidence: list[str] = Field(default_factory=list)


class AccuracyEstimate(_Frozen):
    """What the calibrated probabilities themselves say about accuracy: no label is needed (CBPE).

    It holds as long as the calibration does: a new generator that looks real is not seen by it.
    """

    photos: int
    # Of photos that were called `real` or `ai_generated`.
    accuracy: float | None
    reference_accuracy: float | None
    # Of the expected real photos, those called `ai_generated`.
    false_accusation_rate: float | None
    # Of the expected AI-generated photos, those called so.
    recall: float | None


class FeedbackAccuracy(_Frozen):
    """What reviewers' labels say; they look mostly at doubtful photos, so it is no sample of all.

    `low` and `high` are the 95% Wilson interval of `accuracy`.
    """

    photos: int
    accuracy: float
    low: float
    high: float
    # Photos called `ai_generated` that reviewers call real, and the other way round.
    false_accusations: int
    missed: int
    since: AwareDatetime


class Histogram(_Frozen):
    """Counts between edges of the raw logit; the outer bins are open."""

    edges: list[float]
    reference: list[int]
    current: list[int]


class MixChart(_Frozen):
    """Shares of a dimension's values."""

    dimension: Dimension
    values: list[str]
    reference: list[float]
    current: list[float]


class EmbeddingChart(_Frozen):
    """Two coordinates of a sample; `new` are those of the new cluster."""

    reference: list[tuple[float, float]]
    current: list[tuple[float, float]]
    new: list[tuple[float, float]]


class Charts(_Frozen):
    """What the report's plots draw."""

    logits: Histogram
    # label -> (share before, share now).
    labels: dict[str, tuple[float, float]]
    mixes: list[MixChart]
    embedding: EmbeddingChart | None = None


class DriftReport(_Frozen):
    """Everything that one check of one scope found."""

    schema_version: Literal[1] = 1
    model_version: str
    # None: all tenants together, for the operator.
    tenant_id: UUID | None
    window: WindowFacts
    reference: ReferenceFacts
    # After hysteresis; this is what alerts.
    severity: Severity
    previous_severity: Severity
    # What this window alone would say.
    window_severity: Severity
    cause: CauseFinding
    statistics: list[Statistic]
    segments: list[SegmentShift]
    mixes: list[MixShift]
    cluster: ClusterFinding | None = None
    # Photos that show the finding best, of this scope's tenants only.
    examples: list[UUID] = Field(default_factory=list)
    estimated: AccuracyEstimate
    feedback: FeedbackAccuracy | None = None
    charts: Charts
    # What could not be looked at, and why.
    notes: list[str] = Field(default_factory=list)
