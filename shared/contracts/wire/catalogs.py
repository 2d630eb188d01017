"""JSON bodies of the catalogs API."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.catalogs import CatalogErrorCode, CatalogFormat, CatalogStatus
from shared.contracts.wire.job_requests import PageLinks
from shared.contracts.wire.jobs import Wire


class PrefixRequest(BaseModel):
    """`POST /catalogs` as JSON: photos that lie in the import bucket already."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    s3_prefix: str = Field(
        max_length=1024,
        description="Below `imports/{your tenant's id}/` of the import bucket; empty for all.",
    )
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="Facts of your own, returned with the catalog."
    )
    webhook_url: str | None = Field(
        default=None, max_length=2048, description="Told when this catalog has finished."
    )


class CatalogCounts(Wire):
    """Rows, refreshed every few seconds while the catalog runs."""

    total: int | None = Field(description="Rows of the catalog; null until it is read through.")
    read: int = Field(description="Rows read so far.")
    completed: int = Field(description="Rows with a verdict.")
    failed: int = Field(description="Rows without one; `/errors` says why.")
    duplicates: int = Field(
        description="Rows whose photo an earlier row had; judged once, counted above as well."
    )


class CatalogError(Wire):
    """Why reading ended before the end. Rows read before keep their results."""

    code: CatalogErrorCode
    detail: str


class CatalogLinks(Wire):
    """Paths relative to the gateway's root."""

    self: str
    results: str
    errors: str


class Catalog(Wire):
    """One bulk submission."""

    id: UUID
    status: CatalogStatus
    format: CatalogFormat
    filename: str | None = None
    s3_prefix: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    finished_at: datetime | None = None
    counts: CatalogCounts
    rows_per_second: float | None = Field(
        default=None, description="Rows finished per second since the start; null before the first."
    )
    eta_seconds: float | None = Field(
        default=None, description="Seconds to the end at that speed; null while unknown."
    )
    error: CatalogError | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    links: CatalogLinks


class CatalogPage(Wire):
    """One page of catalogs, newest first."""

    data: list[Catalog]
    next_cursor: str | None = Field(default=None, description="Null on the last page.")
    links: PageLinks
