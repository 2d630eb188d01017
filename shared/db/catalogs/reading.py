"""Reading a catalog: who reads it, the rows read, how far it has come.

A page's rows, its jobs and the reading position are written in one transaction that only the holder
of the catalog's lease can commit. So a reader that dies at any point has either written a page
whole or not at all, and the next one goes on right behind it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from shared.contracts.catalogs import CatalogErrorCode
from shared.contracts.events import EventType
from shared.contracts.states import JobKind
from shared.contracts.tasks import MAX_CHUNK
from shared.core.errors import DetectorError
from shared.core.ids import new_id
from shared.core.texts import storable
from shared.db.jobs.rows import NewImage, NewJob, insert_job
from shared.db.models import Catalog, CatalogItem, Image
from shared.db.webhooks.events import emit


class CatalogLost(DetectorError):
    """Another reader holds the catalog, or its tenant cancelled it."""


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row: a stored photo (`image` with its sha256), or why there is none (`error_code`)."""

    line: int
    source: str
    custom_id: str | None = None
    listing_id: str | None = None
    category: str | None = None
    image: NewImage | None = None
    error_code: str | None = None
    error_detail: str | None = None


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Rows in order, and where reading goes on behind them; `is_last` when nothing follows."""

    rows: Sequence[ReadRow]
    position: dict[str, Any]
    is_last: bool


# One at a time, so that two readers do not take two suspects at once.
_LOCK_CLAIMS = text("SELECT pg_advisory_xact_lock(hashtext('catalogs.claim'))")

# Tenants take turns: first who has the fewest catalogs being read, then who was read least lately.
# Of catalogs whose reader died one is read at a time: the one that kills readers takes no other
# with it again and again (G4).
_CLAIM = text("""
UPDATE catalogs SET crashes = crashes + CASE WHEN lease_id IS NULL THEN 0 ELSE 1 END,
    lease_id = :lease_id,
    lease_expires_at = clock_timestamp() + make_interval(secs => :seconds),
    status = 'running', started_at = coalesce(started_at, clock_timestamp())
WHERE id = (
    SELECT c.id FROM catalogs c
    WHERE c.finished_at IS NULL AND c.total IS NULL AND c.cancel_requested_at IS NULL
    AND (c.lease_id IS NULL OR c.lease_expires_at < clock_timestamp())
    AND (c.crashes = 0 AND c.lease_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM catalogs s
        WHERE s.id <> c.id AND s.crashes > 0 AND s.finished_at IS NULL
        AND s.lease_id IS NOT NULL AND s.lease_expires_at > clock_timestamp()))
    ORDER BY (
        SELECT count(*) FROM catalogs o
        WHERE o.tenant_id = c.tenant_id AND o.finished_at IS NULL
        AND o.lease_id IS NOT NULL AND o.lease_expires_at > clock_timestamp()),
        c.lease_expires_at NULLS FIRST, c.created_at
    LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
RETURNING id
""")

_RENEW = text("""
UPDATE catalogs SET lease_expires_at = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = :id AND lease_id = :lease_id
""")

# The time stays, as that of its last turn.
_RELEASE = text("""
UPDATE catalogs SET lease_id = NULL, lease_expires_at = clock_timestamp()
WHERE id = :id AND lease_id = :lease_id
""")

_FENCE = text("SELECT id FROM catalogs WHERE id = :id AND lease_id = :lease_id FOR UPDATE")

_ADVANCE = text("""
UPDATE catalogs SET position = CAST(:position AS jsonb), rows_read = rows_read + :rows,
    duplicates = duplicates + :duplicates,
    crashes = CASE WHEN :rows > 0 THEN 0 ELSE crashes END,
    total = CASE WHEN :is_last THEN rows_read + :rows END,
    error_code = coalesce(error_code, :error_code),
    error_detail = coalesce(error_detail, :error_detail)
WHERE id = :id
""")

# Bounded: only whether there is room matters.
_OPEN_IMAGES = text("""
SELECT count(*) FROM (
    SELECT 1 FROM images i JOIN jobs j ON j.id = i.job_id
    WHERE i.status IN ('queued', 'running') AND j.kind = 'catalog' LIMIT :at_most) AS open
""")

# One snapshot for both: a page that is committed meanwhile changes `rows_read`, and then the
# catalog is not finished on counts that lack it.
_COUNT = text("""
WITH counted AS (
    SELECT count(*) AS items,
        count(*) FILTER (WHERE i.status = 'succeeded') AS completed,
        count(*) FILTER (WHERE item.error_code IS NOT NULL OR i.status = 'failed') AS failed,
        count(*) FILTER (WHERE i.status IN ('queued', 'running')) AS open
    FROM catalog_items item LEFT JOIN images i ON i.id = item.image_id
    WHERE item.catalog_id = :id),
updated AS (
    UPDATE catalogs SET completed = counted.completed, failed = counted.failed,
        finished_at = CASE WHEN open = 0 AND items = rows_read
            AND (total IS NOT NULL OR cancel_requested_at IS NOT NULL) THEN clock_timestamp() END,
        status = CASE
            WHEN NOT (open = 0 AND items = rows_read
                AND (total IS NOT NULL OR cancel_requested_at IS NOT NULL)) THEN status
            WHEN cancel_requested_at IS NOT NULL
                AND (total IS NULL OR counted.completed + counted.failed < total) THEN 'cancelled'
            WHEN counted.completed = 0 THEN 'failed'
            WHEN counted.completed = items AND error_code IS NULL THEN 'succeeded'
            ELSE 'partial' END
    FROM counted WHERE catalogs.id = :id AND catalogs.finished_at IS NULL
    RETURNING catalogs.id, catalogs.tenant_id, catalogs.webhook_url, catalogs.finished_at)
SELECT tenant_id, webhook_url, finished_at IS NOT NULL AS finished FROM updated
""")


def claim(session: Session, seconds: float) -> tuple[Catalog, UUID] | None:
    """Take the catalog whose turn it is, for `seconds`; returns it with the lease, or None.

    A lease that ran out counts in its `crashes`, until a page of it is written.
    """
    lease_id = new_id()
    session.execute(_LOCK_CLAIMS)
    found = session.execute(_CLAIM, {"lease_id": lease_id, "seconds": seconds}).scalar_one_or_none()
    if found is None:
        return None
    return session.execute(select(Catalog).where(Catalog.id == found)).scalar_one(), lease_id


def renew(session: Session, catalog_id: UUID, lease_id: UUID, seconds: float) -> bool:
    """Extend the lease; False when it was lost or the catalog cancelled."""
    values = {"id": catalog_id, "lease_id": lease_id, "seconds": seconds}
    result = session.execute(_RENEW, values)
    return bool(result.rowcount)  # type: ignore[attr-defined]  # CursorResult of an UPDATE


def release(session: Session, catalog_id: UUID, lease_id: UUID) -> None:
    """Give the catalog back; it comes last in turn."""
    session.execute(_RELEASE, {"id": catalog_id, "lease_id": lease_id})


def open_images(session: Session, at_most: int) -> int:
    """Return how many photos of catalogs are not terminal, counted up to `at_most`."""
    return int(session.execute(_OPEN_IMAGES, {"at_most": at_most}).scalar_one())


def write_page(session: Session, catalog: Catalog, lease_id: UUID, page: ReadPage) -> None:
    """Write the rows, their jobs and the new position; raises CatalogLost, and then nothing is.

    A row whose bytes an earlier row had shares its photo: it is judged once.
    """
    _fence(session, catalog.id, lease_id)
    known = _known_photos(session, catalog.id, page.rows)
    fresh: dict[str, NewImage] = {}
    for row in page.rows:
        if row.image is not None and row.image.sha256 not in known:
            fresh.setdefault(str(row.image.sha256), row.image)
    known_before = len(known)
    known.update(_insert_jobs(session, catalog, list(fresh.values())))
    photos = sum(row.image is not None for row in page.rows)
    if page.rows:
        session.execute(insert(CatalogItem), [_item(catalog.id, row, known) for row in page.rows])
    _advance(session, catalog.id, page, photos - (len(known) - known_before))


def fail(
    session: Session,
    catalog_id: UUID,
    lease_id: UUID,
    code: CatalogErrorCode,
    detail: str,
) -> None:
    """Read no further, since the rest cannot be read; rows read so far keep their way.

    Raises CatalogLost.
    """
    row = _fence(session, catalog_id, lease_id)
    end = ReadPage([], row.position, is_last=True)
    _advance(session, catalog_id, end, 0, code, detail)


def read_catalogs(session: Session) -> list[UUID]:
    """Return the catalogs whose counts still change, oldest first."""
    query = select(Catalog.id).where(Catalog.finished_at.is_(None)).order_by(Catalog.created_at)
    return list(session.execute(query).scalars())


def refresh_counts(session: Session, catalog_id: UUID) -> bool:
    """Count the catalog's rows and end it when nothing is open; returns whether this ended it.

    Whoever registered for `catalog.completed` is told in the same transaction.
    """
    row = session.execute(_COUNT, {"id": catalog_id}).one_or_none()
    if row is None or not row.finished:
        return False
    subject = {"catalog_id": str(catalog_id)}
    emit(session, row.tenant_id, EventType.CATALOG_COMPLETED, subject, row.webhook_url)
    return True


def _fence(session: Session, catalog_id: UUID, lease_id: UUID) -> Catalog:
    held = session.execute(_FENCE, {"id": catalog_id, "lease_id": lease_id}).one_or_none()
    if held is None:
        raise CatalogLost(f"catalog {catalog_id} is no longer ours")
    return session.get_one(Catalog, catalog_id, populate_existing=True)


def _known_photos(session: Session, catalog_id: UUID, rows: Sequence[ReadRow]) -> dict[str, UUID]:
    """Return the photos, by SHA-256, that earlier pages of the catalog have in common with it."""
    wanted = {row.image.sha256 for row in rows if row.image is not None}
    if not wanted:
        return {}
    query = select(CatalogItem.sha256, CatalogItem.image_id).where(
        CatalogItem.catalog_id == catalog_id,
        CatalogItem.sha256.in_(wanted),
        CatalogItem.image_id.is_not(None),
    )
    found = session.execute(query.distinct())
    return {str(row.sha256): row.image_id for row in found if row.image_id is not None}


def _insert_jobs(session: Session, catalog: Catalog, images: Sequence[NewImage]) -> dict[str, UUID]:
    """Make jobs of the photos; returns the image ids by SHA-256."""
    ids: dict[str, UUID] = {}
    for start in range(0, len(images), MAX_CHUNK):
        job_id = insert_job(
            session,
            NewJob(
                tenant_id=catalog.tenant_id,
                request_id=catalog.request_id,
                images=images[start : start + MAX_CHUNK],
                kind=JobKind.CATALOG,
                catalog_id=catalog.id,
            ),
        )
        query = select(Image.sha256, Image.id).where(Image.job_id == job_id)
        ids.update((str(sha256), image_id) for sha256, image_id in session.execute(query))
    return ids


def _item(catalog_id: UUID, row: ReadRow, photos: dict[str, UUID]) -> dict[str, Any]:
    sha256 = row.image.sha256 if row.image is not None else None
    return {
        "catalog_id": catalog_id,
        "line": row.line,
        "custom_id": row.custom_id,
        "listing_id": row.listing_id,
        "category": row.category,
        "source": row.source,
        "sha256": sha256,
        "image_id": photos[sha256] if sha256 is not None else None,
        "error_code": row.error_code,
        "error_detail": None if row.error_detail is None else storable(row.error_detail),
    }


def _advance(
    session: Session,
    catalog_id: UUID,
    page: ReadPage,
    duplicates: int,
    code: CatalogErrorCode | None = None,
    detail: str | None = None,
) -> None:
    session.execute(
        _ADVANCE,
        {
            "id": catalog_id,
            "position": json.dumps(page.position),
            "rows": len(page.rows),
            "duplicates": duplicates,
            "is_last": page.is_last,
            "error_code": code.value if code else None,
            "error_detail": None if detail is None else storable(detail),
        },
    )
    if page.is_last:
        session.execute(
            text("UPDATE catalogs SET lease_id = NULL, lease_expires_at = NULL WHERE id = :id"),
            {"id": catalog_id},
        )
