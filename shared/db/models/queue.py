"""The outbox, and the requests that must not be carried out twice."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.db.models.base import Base


class OutboxMessage(Base):
    """A message that must reach the broker: written with the rows it speaks of, sent afterwards."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_unsent", "available_at", "id", postgresql_where=text("sent_at IS NULL")),
        Index("ix_outbox_sent", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    topic: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Not to be sent before this; later than created_at for a delayed retry.
    available_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]


class IdempotencyKey(Base):
    """A client's `Idempotency-Key`, the request it came with and what that request made."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    # SHA-256 over everything in the request that counts, the files' bytes included.
    request_hash: Mapped[bytes]
    # `job` or `catalog`, and its id.
    resource_kind: Mapped[str]
    resource_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
