"""Bulk catalogs: a manifest, and one row for each of its lines."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.catalogs import CatalogFormat, CatalogStatus
from shared.core.ids import new_id
from shared.db.models.base import Base, one_of


class Catalog(Base):
    """One bulk submission. The ingest service reads it page by page and keeps its place here."""

    __tablename__ = "catalogs"
    __table_args__ = (
        CheckConstraint(one_of("status", CatalogStatus), name="status"),
        CheckConstraint(one_of("format", CatalogFormat), name="format"),
        CheckConstraint(
            "(status IN ('succeeded', 'partial', 'failed', 'cancelled'))"
            " = (finished_at IS NOT NULL)",
            name="finished_at_iff_terminal",
        ),
        CheckConstraint("(manifest_key IS NULL) <> (s3_prefix IS NULL)", name="one_source"),
        Index("ix_catalogs_tenant_id_created_at", "tenant_id", text("created_at DESC"), "id"),
        Index("ix_catalogs_open", "created_at", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(default=CatalogStatus.QUEUED.value)
    format: Mapped[str]
    filename: Mapped[str | None]
    # Where the uploaded manifest or ZIP lies; or the prefix under which the photos lie.
    manifest_key: Mapped[str | None]
    s3_prefix: Mapped[str | None]
    # The tenant's own facts, the API's `metadata`.
    extra: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    webhook_url: Mapped[str | None]
    request_id: Mapped[str]
    # Where reading goes on; moved in the transaction that writes the rows read.
    position: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    rows_read: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    # Rows of the whole manifest; null until it is read through.
    total: Mapped[int | None] = mapped_column(BigInteger)
    completed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    failed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    # Rows whose bytes an earlier row of the catalog had; they share its photo and verdict.
    duplicates: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    # Why the whole catalog failed.
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    # Which ingest process holds it.
    lease_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    # Leases that ran out since the last page, usually because the reader died.
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CatalogItem(Base):
    """One row of a catalog: the photo that it became, or why it became none."""

    __tablename__ = "catalog_items"
    __table_args__ = (
        CheckConstraint("(image_id IS NULL) = (error_code IS NOT NULL)", name="image_or_error"),
        Index("ix_catalog_items_catalog_id_sha256", "catalog_id", "sha256"),
        Index("ix_catalog_items_image_id", "image_id"),
    )

    catalog_id: Mapped[UUID] = mapped_column(
        ForeignKey("catalogs.id", ondelete="CASCADE"), primary_key=True
    )
    # Line of the manifest from 1, its header included; or the number of the archive's or
    # prefix's file.
    line: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    custom_id: Mapped[str | None]
    listing_id: Mapped[str | None]
    category: Mapped[str | None]
    # The URL, key or file name as the row gave it.
    source: Mapped[str]
    sha256: Mapped[str | None]
    image_id: Mapped[UUID | None] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
