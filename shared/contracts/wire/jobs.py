"""JSON bodies of the jobs API, used by the gateway and by its clients. JSON is snake_case."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.errors import ImageErrorCode
from shared.contracts.states import Basis, ImageStatus, JobStatus, Label

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class Wire(BaseModel):
    """Base of every wire schema."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ImageError(Wire):
    """Why one image has no verdict, and what to do."""

    code: ImageErrorCode
    detail: str


class Verdict(Wire):
    """One model's judgement of one photo."""

    label: Label
    probability: Probability = Field(description="Calibrated P(AI-generated).")
    confidence: Probability = Field(
        description="Probability of the stated side; for `uncertain`, of the likelier one."
    )
    model_version: str
    basis: Basis = Field(
        default=Basis.PIXELS,
        description="What decided: the `pixels`, or a `statement` in the file that a generator"
        " made the photo; then `probability` is 1.",
    )
    pixels_probability: Probability | None = Field(
        default=None, description="Calibrated P(AI-generated) by the pixels alone."
    )
    evidence: list[dict[str, Any]] = Field(default_factory=list)
    judged_with: dict[str, Any] = Field(
        default_factory=dict,
        description="What decided beside the pixels: false-accusation budget, thresholds,"
        " preprocess, the package's digest, the precision and the processor. Older verdicts lack"
        " some of it.",
    )
    reused_from: UUID | None = Field(
        default=None, description="The earlier photo of the same bytes whose verdict this repeats."
    )


class Review(Wire):
    """What a person said of a photo. The newest one of a photo counts."""

    id: UUID
    label: Literal[Label.REAL, Label.AI_GENERATED]
    reason: str
    reviewer: str
    created_at: datetime
    model_version: str | None = Field(
        default=None, description="Whose verdict the reviewer saw; null when there was none."
    )
    model_label: Label | None = None
    overturns_verdict: bool = Field(description="Whether it differs from that verdict.")
    changed_label: bool = Field(
        description="Whether it changed the label that counted; then `verdict.changed` was sent."
    )


class JobImage(Wire):
    """One photo of a job, in upload order."""

    id: UUID
    filename: str
    status: ImageStatus
    sha256: str | None = Field(default=None, description="SHA-256 of the stored bytes, hex.")
    width: int | None = None
    height: int | None = None
    source_url: str | None = Field(default=None, description="Where it was fetched from.")
    error: ImageError | None = None
    verdict: Verdict | None = None
    review: Review | None = Field(default=None, description="The newest one, if any.")
    label: Label | None = Field(
        default=None, description="What counts: the reviewer's label, else the verdict's."
    )


class ListingVerdict(Wire):
    """The photos of one job taken together: the gravest verdict counts."""

    label: Label
    probability: Probability = Field(
        description="The highest P(AI-generated) of the photos; a reviewed one counts as 0 or 1."
    )
    reason: str
    image_id: UUID = Field(description="The photo that decided.")
    basis: Basis | None = Field(
        default=None, description="What decided that photo's verdict; null when a reviewer did."
    )


class JobLinks(Wire):
    """Paths relative to the gateway's root."""

    self: str
    wait: str = Field(description="Long poll: answers when the job has finished, or after 30 s.")


class JobFacts(Wire):
    """What is said of a job wherever it is named."""

    id: UUID
    status: JobStatus
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    listing_id: str | None = None
    category: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Job(JobFacts):
    """`POST /jobs` and `GET /jobs/{id}`."""

    images: list[JobImage]
    verdict: ListingVerdict | None = None
    links: JobLinks


class Prediction(Wire):
    """`POST /predict`."""

    prediction: Label
    probability: Probability
    confidence: Probability
    inference_time_ms: float = Field(ge=0, description="From upload stored to verdict stored.")
    model_version: str
    basis: Basis = Field(
        default=Basis.PIXELS,
        description="What decided: the `pixels`, or a `statement` in the file that a generator"
        " made the photo; then `probability` is 1.",
    )
    pixels_probability: Probability | None = Field(
        default=None, description="Calibrated P(AI-generated) by the pixels alone."
    )


class HealthCheck(Wire):
    """State of one server that the gateway depends on."""

    status: Literal["ok", "failed"]
    detail: str | None = None


class Health(Wire):
    """`degraded`: verdicts may be late, but what is accepted is safe."""

    status: Literal["ok", "degraded", "unavailable"]
    version: str
    checks: dict[str, HealthCheck] = Field(default_factory=dict)


class Problem(Wire):
    """RFC 9457 problem details, sent as `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, Any]] = Field(
        default_factory=list,
        description="One object per offending file (`index`, `filename`, `code`, `detail`)"
        " or field (`field`, `code`, `detail`).",
    )
    request_id: str | None = Field(default=None, description="Also the header `X-Request-ID`.")
    job: str | None = Field(default=None, description="Link to the job that goes on.")
    checks: dict[str, HealthCheck] | None = None


class ProblemType(Wire):
    """`GET /problems/{slug}`: what a problem type means and what to do."""

    type: str
    title: str
    status: int
    help: str
