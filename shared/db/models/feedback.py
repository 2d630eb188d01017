"""What reviewers say about a photo, and appeals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.states import Label
from shared.core.ids import new_id
from shared.db.models.base import Base, one_of


class Feedback(Base):
    """A person's label for a photo. The newest one of a photo counts; none is ever changed."""

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("label IN ('real', 'ai_generated')", name="label"),
        CheckConstraint(
            f"model_label IS NULL OR {one_of('model_label', Label)}", name="model_label"
        ),
        Index("ix_feedback_image_id_created_at", "image_id", "created_at"),
        Index("ix_feedback_tenant_id_created_at", "tenant_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    image_id: Mapped[UUID] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    label: Mapped[str]
    reason: Mapped[str]
    reviewer: Mapped[str]
    # The verdict that the reviewer saw; null when the photo had none.
    model_version: Mapped[str | None]
    model_label: Mapped[str | None]
    # Whether it changed the label that counts for this photo.
    overturned: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
