"""Catalogs as their tenants see them: insertion, reading, cancelling, rows page by page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from shared.contracts.catalogs import CatalogFormat, CatalogStatus
from shared.core.ids import new_id
from shared.db.jobs.results import cancel_jobs
from shared.db.models import Catalog
from shared.db.paging import Place, behind, cut


@dataclass(frozen=True, slots=True)
class NewCatalog:
    """What a client submitted: a stored file (`manifest_key`), or a prefix of its own bucket."""

    tenant_id: UUID
    request_id: str
    format: CatalogFormat
    filename: str | None = None
    manifest_key: str | None = None
    # Relative to the tenant's import prefix.
    s3_prefix: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """Some catalogs, and where the next page begins; None at the end."""

    catalogs: Sequence[Catalog]
    next: Place | None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row with a verdict; the field names are the columns of the export."""

    line: int
    custom_id: str | None
    listing_id: str | None
    category: str | None
    source: str
    label: str
    probability: float
    confidence: float
    model_version: str
    sha256: str
    image_id: UUID
    job_id: UUID


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """A row without a verdict and why; `image_id` is null when it became no photo."""

    line: int
    custom_id: str | None
    listing_id: str | None
    category: str | None
    source: str
    error_code: str
    error_detail: str | None
    image_id: UUID | None


# The newest verdict of an image counts.
_RESULTS = text("""
SELECT item.line, item.custom_id, item.listing_id, item.category, item.source, verdict.label,
    verdict.probability, verdict.confidence, verdict.model_version, image.sha256,
    image.id AS image_id, image.job_id
FROM catalog_items item
JOIN images image ON image.id = item.image_id AND image.status = 'succeeded'
CROSS JOIN LATERAL (
    SELECT label, probability, confidence, model_version FROM verdicts
    WHERE verdicts.image_id = image.id ORDER BY created_at DESC LIMIT 1) verdict
WHERE item.catalog_id = :catalog_id AND item.line > :after
ORDER BY item.line LIMIT :limit
""")

_ERRORS = text("""
SELECT item.line, item.custom_id, item.listing_id, item.category, item.source,
    coalesce(item.error_code, image.error_code) AS error_code,
    coalesce(item.error_detail, image.error_detail) AS error_detail, item.image_id
FROM catalog_items item LEFT JOIN images image ON image.id = item.image_id
WHERE item.catalog_id = :catalog_id AND item.line > :after
AND (item.error_code IS NOT NULL OR image.status = 'failed')
ORDER BY item.line LIMIT :limit
""")

_OPEN_JOBS = text("""
SELECT id FROM jobs WHERE catalog_id = :catalog_id AND status IN ('queued', 'running')
""")


def insert_catalog(session: Session, new: NewCatalog) -> Catalog:
    """Write the row; the ingest service finds it within a second."""
    catalog = Catalog(
        id=new.id,
        tenant_id=new.tenant_id,
        format=new.format.value,
        filename=new.filename,
        manifest_key=new.manifest_key,
        s3_prefix=new.s3_prefix,
        extra=new.extra,
        webhook_url=new.webhook_url,
        request_id=new.request_id,
    )
    session.add(catalog)
    session.flush()
    session.refresh(catalog)
    return catalog


def get_catalog(session: Session, tenant_id: UUID, catalog_id: UUID) -> Catalog | None:
    """Return the tenant's catalog, or None when it has none of this id."""
    return session.execute(
        select(Catalog).where(Catalog.id == catalog_id, Catalog.tenant_id == tenant_id)
    ).scalar_one_or_none()


def list_catalogs(
    session: Session,
    tenant_id: UUID,
    statuses: Sequence[CatalogStatus],
    limit: int,
    after: Place | None = None,
) -> CatalogPage:
    """Return up to `limit` catalogs of the tenant, newest first, behind `after`."""
    query = select(Catalog).where(Catalog.tenant_id == tenant_id)
    if statuses:
        query = query.where(Catalog.status.in_([status.value for status in statuses]))
    if after is not None:
        # The order of ix_catalogs_tenant_id_created_at.
        query = query.where(behind(after, Catalog.created_at, Catalog.id))
    query = query.order_by(Catalog.created_at.desc(), Catalog.id).limit(limit + 1)
    return CatalogPage(*cut(session.execute(query).scalars().all(), limit))


def cancel_catalog(session: Session, tenant_id: UUID, catalog_id: UUID) -> tuple[int, bool]:
    """Read no further and cancel what waits; returns (photos cancelled, whether it exists).

    Photos that a worker holds end normally; the catalog is terminal once they have. A finished
    catalog is left as it is.
    """
    catalog = session.execute(
        select(Catalog)
        .where(Catalog.id == catalog_id, Catalog.tenant_id == tenant_id)
        # Waits for a page that is just being written: what it adds is cancelled as well.
        .with_for_update()
    ).scalar_one_or_none()
    if catalog is None:
        return 0, False
    if catalog.finished_at is not None:
        return 0, True
    session.execute(
        text("""
        UPDATE catalogs SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),
            lease_id = NULL, lease_expires_at = NULL WHERE id = :id
        """),
        {"id": catalog_id},
    )
    jobs = list(session.execute(_OPEN_JOBS, {"catalog_id": catalog_id}).scalars())
    cancelled = len(cancel_jobs(session, jobs)) if jobs else 0
    session.expire_all()  # the statements above went past the session's rows
    return cancelled, True


def result_rows(session: Session, catalog_id: UUID, after: int, limit: int) -> list[ResultRow]:
    """Return up to `limit` judged rows behind line `after`, by line."""
    values = {"catalog_id": catalog_id, "after": after, "limit": limit}
    return [ResultRow(*row) for row in session.execute(_RESULTS, values)]


def error_rows(session: Session, catalog_id: UUID, after: int, limit: int) -> list[ErrorRow]:
    """Return up to `limit` failed rows behind line `after`, by line."""
    values = {"catalog_id": catalog_id, "after": after, "limit": limit}
    return [ErrorRow(*row) for row in session.execute(_ERRORS, values)]
