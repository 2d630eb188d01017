"""Heatmaps that somebody asked for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.states import HeatmapStatus
from shared.db.models.base import Base, one_of


class Heatmap(Base):
    """The picture of why one model version judged one photo as it did; made on demand."""

    __tablename__ = "heatmaps"
    __table_args__ = (
        CheckConstraint(one_of("status", HeatmapStatus), name="status"),
        CheckConstraint(
            "(status = 'succeeded') = (object_key IS NOT NULL)"
            " AND (object_key IS NULL) = (sha256 IS NULL)"
            " AND (object_key IS NULL) = (size IS NULL)",
            name="stored_iff_succeeded",
        ),
        CheckConstraint(
            "(status = 'failed') = (error_detail IS NOT NULL)", name="error_iff_failed"
        ),
    )

    image_id: Mapped[UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    model_version: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    object_key: Mapped[str | None]
    sha256: Mapped[str | None]
    size: Mapped[int | None]
    error_detail: Mapped[str | None]
    # When a worker was last asked for it.
    requested_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
