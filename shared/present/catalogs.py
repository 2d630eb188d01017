"""Catalogs as clients see them."""

from datetime import UTC, datetime
from uuid import UUID

from shared.contracts.catalogs import CatalogErrorCode, CatalogFormat, CatalogStatus
from shared.contracts.wire import catalogs as wire
from shared.db.models import Catalog


def catalog_path(catalog_id: UUID) -> str:
    """Return the catalog's path."""
    return f"/catalogs/{catalog_id}"


def catalog_body(catalog: Catalog, now: datetime | None = None) -> wire.Catalog:
    """Return `catalog` as the API shows it; `now` (with a zone) is this moment by default."""
    path = catalog_path(catalog.id)
    rate = _rows_per_second(catalog, now or datetime.now(UTC))
    return wire.Catalog(
        id=catalog.id,
        status=CatalogStatus(catalog.status),
        format=CatalogFormat(catalog.format),
        filename=catalog.filename,
        s3_prefix=catalog.s3_prefix,
        created_at=catalog.created_at,
        started_at=catalog.started_at,
        cancel_requested_at=catalog.cancel_requested_at,
        finished_at=catalog.finished_at,
        counts=wire.CatalogCounts(
            total=catalog.total,
            read=catalog.rows_read,
            completed=catalog.completed,
            failed=catalog.failed,
            duplicates=catalog.duplicates,
        ),
        rows_per_second=None if rate is None else round(rate, 2),
        eta_seconds=_eta_seconds(catalog, rate),
        error=_error(catalog),
        metadata=catalog.extra,
        links=wire.CatalogLinks(self=path, results=f"{path}/results", errors=f"{path}/errors"),
    )


def _rows_per_second(catalog: Catalog, now: datetime) -> float | None:
    done = catalog.completed + catalog.failed
    if catalog.started_at is None or not done:
        return None
    seconds = ((catalog.finished_at or now) - catalog.started_at).total_seconds()
    return done / seconds if seconds > 0 else None


def _eta_seconds(catalog: Catalog, rate: float | None) -> float | None:
    if catalog.finished_at is not None:
        return 0.0
    rows = catalog.total if catalog.total is not None else catalog.position.get("rows")
    if rate is None or rows is None:
        return None
    left = int(rows) - catalog.completed - catalog.failed
    return round(max(0, left) / rate, 1)


def _error(catalog: Catalog) -> wire.CatalogError | None:
    if catalog.error_code is None:
        return None
    return wire.CatalogError(
        code=CatalogErrorCode(catalog.error_code), detail=catalog.error_detail or ""
    )
