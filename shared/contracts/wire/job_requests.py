"""JSON bodies of `POST /jobs` (photos by URL) and `GET /jobs`."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.wire.jobs import JobFacts, JobLinks, ListingVerdict, Wire

MAX_PAGE = 100
DEFAULT_PAGE = 20

_Url = Annotated[str, Field(min_length=1, max_length=2048)]


class _Request(BaseModel):
    """Unknown members are refused: a misspelt one would change nothing, silently."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class UrlImage(_Request):
    """One photo to fetch."""

    url: _Url = Field(description="http(s) URL of the photo; it must lead to a public address.")
    filename: str | None = Field(
        default=None, max_length=1024, description="Name to show; else the URL's last part."
    )


class JobRequest(_Request):
    """`POST /jobs` as JSON."""

    images: list[UrlImage] = Field(min_length=1, max_length=64)
    listing_id: str | None = Field(default=None, max_length=200)
    category: str | None = Field(default=None, max_length=200)
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Facts of your own, returned with the job."
    )
    webhook_url: str | None = Field(
        default=None, max_length=2048, description="Told when this job has finished."
    )


class ImageCounts(Wire):
    """How many photos of a job are in each state."""

    total: int
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class JobSummary(JobFacts):
    """A job as `GET /jobs` lists it; `links.self` has its photos."""

    image_counts: ImageCounts
    verdict: ListingVerdict | None = None
    links: JobLinks


class PageLinks(Wire):
    """Paths relative to the gateway's root."""

    self: str
    next: str | None = Field(default=None, description="The next page; null on the last one.")


class JobPage(Wire):
    """`GET /jobs`, newest first."""

    data: list[JobSummary]
    next_cursor: str | None = Field(
        default=None, description="Send it as `cursor` with the same filters; null at the end."
    )
    links: PageLinks
