"""Jobs, their photos and the verdicts. CHECKs tie states to timestamps and leases."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.states import ImageStatus, JobKind, JobStatus, Label
from shared.core.ids import new_id
from shared.db.models.base import Base, one_of


class Job(Base):
    """One submission of 1–64 photos, usually one listing's."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(one_of("status", JobStatus), name="status"),
        CheckConstraint(one_of("kind", JobKind), name="kind"),
        CheckConstraint("(kind = 'catalog') = (catalog_id IS NOT NULL)", name="catalog_iff_kind"),
        CheckConstraint(
            "(status IN ('succeeded', 'partial', 'failed', 'cancelled'))"
            " = (finished_at IS NOT NULL)",
            name="finished_at_iff_terminal",
        ),
        CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="running_started"),
        # Pages of `GET /jobs`: predictions and catalogs' jobs, far more of them, are not in it.
        Index(
            "ix_jobs_listed",
            "tenant_id",
            text("created_at DESC"),
            "id",
            postgresql_where=text("kind = 'job'"),
        ),
        Index("ix_jobs_tenant_id_listing_id", "tenant_id", "listing_id"),
        Index("ix_jobs_catalog_id", "catalog_id", postgresql_where=text("catalog_id IS NOT NULL")),
        Index(
            "ix_jobs_open",
            "created_at",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    # Who asked: a client's `POST /jobs`, its `POST /predict`, or a catalog.
    kind: Mapped[str] = mapped_column(
        default=JobKind.JOB.value, server_default=text(f"'{JobKind.JOB.value}'")
    )
    catalog_id: Mapped[UUID | None] = mapped_column(ForeignKey("catalogs.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(default=JobStatus.QUEUED.value)
    listing_id: Mapped[str | None]
    category: Mapped[str | None]
    # The tenant's own facts, the API's `metadata` (a name that SQLAlchemy takes).
    extra: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # Told of this job's end besides the registered endpoints.
    webhook_url: Mapped[str | None]
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
        CheckConstraint(one_of("status", ImageStatus), name="status"),
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
        # Counts what a tenant has waiting, for its quota.
        Index(
            "ix_images_open",
            "tenant_id",
            "job_id",
            postgresql_where=text("status IN ('queued', 'running')"),
        ),
        # Finds the newest photo of the same bytes that was judged.
        Index(
            "ix_images_judged_bytes",
            "tenant_id",
            "sha256",
            "id",
            postgresql_where=text("status = 'succeeded'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    # Upload order within the job, from 0.
    position: Mapped[int]
    filename: Mapped[str]
    # Where the gateway or the ingest service fetched it from; null for an uploaded file.
    source_url: Mapped[str | None]
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
    # JPEG quality 1..100 estimated from the file's quantisation tables; null when it has none.
    encoder_quality: Mapped[int | None] = mapped_column(SmallInteger)
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
        CheckConstraint(one_of("label", Label), name="label"),
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
    # What it was judged with, for an appeal: false-accusation budget, thresholds, preprocess,
    # precision.
    judged_with: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # The photo of the same bytes whose verdict this repeats; it may be gone by now.
    reused_from: Mapped[UUID | None]
    # Where the photo lies in the model's own compact feature space; null when the package has none.
    embedding: Mapped[list[float] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class JobEvent(Base):
    """Every change of a job's status leaves one row: the history that an appeal can read."""

    __tablename__ = "job_events"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    # Null for the first one.
    from_status: Mapped[str | None]
    to_status: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
