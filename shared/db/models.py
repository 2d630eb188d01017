"""Tables. The database itself refuses nonsense: CHECKs tie states to timestamps and leases."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shared.contracts.states import ImageStatus, JobStatus, Label
from shared.core.ids import new_id


def _one_of(column: str, values: type[JobStatus] | type[ImageStatus] | type[Label]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


class Base(DeclarativeBase):
    """Naming convention, so that migrations can name every constraint; times carry a zone."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        datetime: DateTime(timezone=True),
        str: Text(),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[str]: ARRAY(Text()),
        bytes: LargeBinary(),
    }


class Tenant(Base):
    """A marketplace (or a team of it). Everything below belongs to exactly one tenant."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
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


class Job(Base):
    """One submission of 1–64 photos, usually one listing's."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(_one_of("status", JobStatus), name="status"),
        CheckConstraint(
            "(status IN ('succeeded', 'partial', 'failed', 'cancelled'))"
            " = (finished_at IS NOT NULL)",
            name="finished_at_iff_terminal",
        ),
        CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="running_started"),
        Index("ix_jobs_tenant_id_created_at", "tenant_id", text("created_at DESC"), "id"),
        Index(
            "ix_jobs_open",
            "created_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(default=JobStatus.QUEUED.value)
    listing_id: Mapped[str | None]
    category: Mapped[str | None]
    # The tenant's own facts, the API's `metadata` (a name that SQLAlchemy takes).
    extra: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # The HTTP request that made the job; follows it through queue and worker logs.
    request_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # First lease of one of its images.
    started_at: Mapped[datetime | None]
    # Set by the one transition into a terminal state.
    finished_at: Mapped[datetime | None]


class Image(Base):
    """One accepted photo: where its bytes lie and how far it has come."""

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        CheckConstraint(_one_of("status", ImageStatus), name="status"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name="finished_at_iff_terminal",
        ),
        CheckConstraint(
            "(status = 'running') = (lease_id IS NOT NULL)"
            " AND (lease_id IS NULL) = (lease_expires_at IS NULL)",
            name="lease_iff_running",
        ),
        CheckConstraint("(status = 'failed') = (error_code IS NOT NULL)", name="error_iff_failed"),
        CheckConstraint(
            "object_key IS NOT NULL OR status = 'failed'", name="stored_unless_refused"
        ),
        Index(
            "ix_images_leased",
            "lease_expires_at",
            postgresql_where=text("status = 'running'"),
        ),
        Index("ix_images_queued", "enqueued_at", postgresql_where=text("status = 'queued'")),
        Index("ix_images_sha256", "tenant_id", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    # Upload order within the job, from 0.
    position: Mapped[int]
    filename: Mapped[str]
    status: Mapped[str] = mapped_column(default=ImageStatus.QUEUED.value)
    # Null only for a file that was refused at intake.
    object_key: Mapped[str | None]
    # SHA-256 of the uploaded bytes, hex.
    sha256: Mapped[str | None]
    content_type: Mapped[str | None]
    # Bytes of the upload.
    size: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    error_code: Mapped[str | None]
    error_detail: Mapped[str | None]
    # Times it was leased.
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    # Leases that ran out, usually because the worker died. From the first on it travels alone, so
    # that a poison image takes nobody with it.
    crashes: Mapped[int] = mapped_column(server_default=text("0"))
    # Which attempt of which worker holds it; only that one may settle it.
    lease_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    # When its message was last handed to the outbox.
    enqueued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]


class Verdict(Base):
    """One model version's judgement of one image; the primary key makes it unique (G2)."""

    __tablename__ = "verdicts"
    __table_args__ = (
        CheckConstraint(_one_of("label", Label), name="label"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index("ix_verdicts_model_version_created_at", "model_version", "created_at"),
    )

    image_id: Mapped[UUID] = mapped_column(
        ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    model_version: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    # Calibrated P(AI-generated).
    probability: Mapped[float]
    confidence: Mapped[float]
    # The network's raw output, kept so that a later calibration can be applied to old rows.
    logit: Mapped[float]
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


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


class JobEvent(Base):
    """Every change of a job's status leaves one row: the history that an appeal can read."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    # Null for the first one.
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
