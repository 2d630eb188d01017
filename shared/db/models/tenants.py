"""Marketplaces and their API keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.core.ids import new_id
from shared.db.models.base import Base


class Tenant(Base):
    """A marketplace (or a team of it). Everything below belongs to exactly one tenant."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    # Limits of this tenant alone; null takes the gateway's setting.
    requests_per_minute: Mapped[int | None]
    max_open_images: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Base):
    """A hashed API key. The key itself is shown once, at creation, and stored nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenants.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    # First characters of the key, shown in listings so that people can tell keys apart.
    prefix: Mapped[str]
    # SHA-256 of the whole key; 256 random bits need no slow hash.
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # Set on use, at most once a minute.
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # Refused from then on: the grace period of a rotated key, or a key made for a while.
    expires_at: Mapped[datetime | None]
