"""JSON bodies of `/images/{id}` and what lies below it."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.contracts.states import ImageStatus, Label
from shared.contracts.wire.jobs import ImageError, Review, Verdict, Wire


def _storable(value: str) -> str:
    value = value.strip()
    if not value:
        raise ValueError("must not be empty")
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("NUL characters and lone surrogates cannot be stored")
    return value


_Text = Annotated[str, AfterValidator(_storable)]


class FeedbackRequest(BaseModel):
    """`POST /images/{id}/feedback`. Unknown members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Literal[Label.REAL, Label.AI_GENERATED] = Field(
        description="What the photo is, to the reviewer."
    )
    reason: _Text = Field(min_length=1, max_length=2000, description="Why; read in an appeal.")
    reviewer: _Text = Field(
        min_length=1, max_length=200, description="Who decided, by a name or id of your own."
    )


class FeedbackList(Wire):
    """`GET /images/{id}/feedback`, the newest first."""

    data: list[Review]


class JudgedVerdict(Verdict):
    """A verdict with its time."""

    created_at: datetime


class ImageLinks(Wire):
    """Paths relative to the gateway's root."""

    self: str
    job: str
    feedback: str
    heatmap: str | None = Field(default=None, description="Null for a photo without verdict.")
    evidence: str | None = Field(default=None, description="Null for a photo without verdict.")


class ImageDetail(Wire):
    """`GET /images/{id}`."""

    id: UUID
    job_id: UUID
    listing_id: str | None = None
    category: str | None = None
    filename: str
    source_url: str | None = None
    status: ImageStatus
    sha256: str | None = Field(default=None, description="SHA-256 of the stored bytes, hex.")
    content_type: str | None = None
    size: int = Field(description="Bytes of the file.")
    width: int | None = None
    height: int | None = None
    created_at: datetime
    finished_at: datetime | None = None
    error: ImageError | None = None
    label: Label | None = Field(
        default=None, description="What counts: the reviewer's label, else the verdict's."
    )
    verdict: JudgedVerdict | None = Field(default=None, description="The newest one.")
    verdicts: list[JudgedVerdict] = Field(
        default_factory=list, description="One for each model version that judged it, oldest first."
    )
    review: Review | None = Field(default=None, description="The newest one, if any.")
    links: ImageLinks


class HeatmapPending(Wire):
    """The heatmap is being computed; ask again after `Retry-After` seconds."""

    status: Literal["queued"]
    image_id: UUID
    model_version: str
    links: dict[str, str]
