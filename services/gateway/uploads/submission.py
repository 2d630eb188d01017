"""What one request asks for: the photos, where they come from, and the facts about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from services.gateway.uploads.form import UploadedFile
from services.gateway.uploads.names import display_name
from shared.contracts.states import JobKind


@dataclass(frozen=True, slots=True)
class UrlPhoto:
    """A photo to fetch."""

    url: str
    filename: str

    @classmethod
    def of(cls, url: str, filename: str | None) -> "UrlPhoto":
        """Return it under `filename`, else under the last part of the URL's path."""
        return cls(url, display_name(filename or _last_part(url)))


def _last_part(url: str) -> str:
    try:
        return unquote(urlsplit(url).path.rstrip("/"))
    except ValueError:  # not a URL: fetching it says so
        return ""


@dataclass(frozen=True, slots=True)
class Submission:
    """Photos and facts that one request brought; either files or URLs."""

    tenant_id: UUID
    request_id: str
    files: Sequence[UploadedFile] = ()
    urls: Sequence[UrlPhoto] = ()
    listing_id: str | None = None
    category: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    kind: JobKind = JobKind.JOB
    idempotency_key: str | None = None

    @property
    def filenames(self) -> list[str]:
        """The photos' names, in order."""
        return [file.filename for file in self.files] + [photo.filename for photo in self.urls]
