"""Webhook endpoints, the events that they are told, and every attempt at telling (G3)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.events import DeliveryStatus, EndpointStatus, EventType
from shared.core.ids import new_id
from shared.db.models.base import Base, one_of


class WebhookEndpoint(Base):
    """Where a tenant wants events. Its default one has no URL and signs `webhook_url` calls."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        CheckConstraint(one_of("status", EndpointStatus), name="status"),
        CheckConstraint("is_default = (url IS NULL)", name="url_unless_default"),
        CheckConstraint(
            "(status = 'disabled') = (disabled_at IS NOT NULL)", name="disabled_at_iff_disabled"
        ),
        Index("ix_webhook_endpoints_tenant_id_created_at", "tenant_id", "created_at"),
        Index(
            "uq_webhook_endpoints_default",
            "tenant_id",
            unique=True,
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    url: Mapped[str | None]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    # Event types that it gets; empty for all.
    events: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    status: Mapped[str] = mapped_column(
        default=EndpointStatus.ENABLED.value, server_default=text("'enabled'")
    )
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    # First failure since the last success.
    failing_since: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WebhookSecret(Base):
    """A signing secret, encrypted. During a rotation an endpoint has several that are valid."""

    __tablename__ = "webhook_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True
    )
    ciphertext: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Signs no more from then on; null for the current one.
    expires_at: Mapped[datetime | None]


class WebhookEvent(Base):
    """Something that happened; written in the transaction in which it did."""

    __tablename__ = "webhook_events"
    __table_args__ = (
        CheckConstraint(one_of("type", EventType), name="type"),
        Index("ix_webhook_events_tenant_id_created_at", "tenant_id", "created_at"),
    )

    # Also the `webhook-id`, the same in every attempt.
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    type: Mapped[str]
    # What it is about: ids, from which the body is made.
    subject: Mapped[dict[str, Any]]
    # The body's `data`; made once, at the first attempt, so that every attempt sends the same.
    data: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class WebhookDelivery(Base):
    """One event on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint(one_of("status", DeliveryStatus), name="status"),
        CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)", name="due_iff_pending"
        ),
        UniqueConstraint("event_id", "endpoint_id"),
        Index(
            "ix_webhook_deliveries_due",
            "endpoint_id",
            "next_attempt_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index(
            "ix_webhook_deliveries_leased",
            "endpoint_id",
            postgresql_where=text("lease_expires_at IS NOT NULL"),
        ),
        Index("ix_webhook_deliveries_endpoint_id_created_at", "endpoint_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    # A job's own `webhook_url`; null takes the endpoint's.
    url: Mapped[str | None]
    status: Mapped[str] = mapped_column(
        default=DeliveryStatus.PENDING.value, server_default=text("'pending'")
    )
    # Attempts of the present schedule; a replay begins a new one.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    # While a dispatcher is at it, when its lease ends: then it is due again by itself.
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    # A dispatcher is at it until then; the exact instant also tells one lease from the next.
    lease_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One request of a delivery, for the log that clients can read."""

    __tablename__ = "webhook_attempts"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), index=True
    )
    attempted_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    # Null when no response came.
    status_code: Mapped[int | None]
    latency_ms: Mapped[float]
    # The first bytes of the response's body.
    response_body: Mapped[str | None]
    error: Mapped[str | None]
