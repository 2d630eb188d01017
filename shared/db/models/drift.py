"""Drift: what stored predictions are compared with, the checks made, and what they found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.contracts.drift import Cause, ReferenceChoice, ReferenceSource, RunStatus, Severity
from shared.core.ids import new_id
from shared.db.models.base import Base, one_of


class DriftReferenceRequest(Base):
    """What an operator wants a model version compared with; the drift service carries it out.

    The newest one of a version that was carried out holds.
    """

    __tablename__ = "drift_reference_requests"
    __table_args__ = (
        CheckConstraint(one_of("choice", ReferenceChoice), name="choice"),
        CheckConstraint(
            "choice <> 'window' OR (window_start IS NOT NULL AND window_end IS NOT NULL)",
            name="window_is_named",
        ),
        CheckConstraint("window_start < window_end", name="window"),
        CheckConstraint(
            "choice <> 'evaluation' OR (ai_share IS NOT NULL AND manifest IS NOT NULL)",
            name="evaluation_is_whole",
        ),
        CheckConstraint("ai_share >= 0 AND ai_share < 1", name="ai_share"),
        CheckConstraint("error IS NULL OR finished_at IS NOT NULL", name="error_when_finished"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    model_version: Mapped[str]
    choice: Mapped[str]
    window_start: Mapped[datetime | None]
    window_end: Mapped[datetime | None]
    # Assumed share of AI-generated photos in the traffic.
    ai_share: Mapped[float | None]
    # The package's model.json, with the thresholds that the workers use.
    manifest: Mapped[dict[str, Any] | None]
    # Its evaluation_photos.npz; gone when carried out.
    evaluation: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    finished_at: Mapped[datetime | None]
    # Why it could not be carried out.
    error: Mapped[str | None]


class DriftReference(Base):
    """Frozen statistics of one model version; see `shared.db.drift.references.in_use`."""

    __tablename__ = "drift_references"
    __table_args__ = (
        CheckConstraint(one_of("source", ReferenceSource), name="source"),
        CheckConstraint("window_start < window_end", name="window"),
        CheckConstraint(
            "source <> 'production' OR (window_start IS NOT NULL AND window_end IS NOT NULL)",
            name="window_of_production",
        ),
        Index(
            "ix_drift_references_model_version_created_at",
            "model_version",
            text("created_at DESC"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    model_version: Mapped[str]
    source: Mapped[str]
    # Of stored verdicts; an evaluation has none.
    window_start: Mapped[datetime | None]
    window_end: Mapped[datetime | None]
    photos: Mapped[int]
    # Bin edges, calibration and the counts of each segment; see shared.db.drift.counts.
    payload: Mapped[dict[str, Any]]
    # A sample of embeddings, little-endian float32 [N, dim], and each one's segments (in payload).
    embeddings: Mapped[bytes | None]
    # The operator's request that it was made for; null when the service made it by itself.
    request_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("drift_reference_requests.id", ondelete="RESTRICT")
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DriftRun(Base):
    """A finished check. The unique key makes a restart neither skip nor repeat a window."""

    __tablename__ = "drift_runs"
    __table_args__ = (
        UniqueConstraint("model_version", "window_end"),
        CheckConstraint(one_of("status", RunStatus), name="status"),
        CheckConstraint("window_start < window_end", name="window"),
        CheckConstraint(
            "status <> 'checked' OR reference_id IS NOT NULL", name="checked_against_reference"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    model_version: Mapped[str]
    # Earlier than the window before's end where traffic is thin: photos are looked at again then.
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    status: Mapped[str]
    reference_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("drift_references.id", ondelete="RESTRICT")
    )
    photos: Mapped[int]
    # How long the check took.
    seconds: Mapped[float]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DriftReport(Base):
    """What a check found for all tenants together (`tenant_id` null) or for one."""

    __tablename__ = "drift_reports"
    __table_args__ = (
        UniqueConstraint("run_id", "tenant_id", postgresql_nulls_not_distinct=True),
        CheckConstraint(one_of("severity", Severity), name="severity"),
        CheckConstraint(one_of("previous_severity", Severity), name="previous_severity"),
        CheckConstraint(one_of("window_severity", Severity), name="window_severity"),
        CheckConstraint(one_of("cause", Cause), name="cause"),
        Index(
            "ix_drift_reports_tenant_id_window_end",
            "tenant_id",
            text("window_end DESC"),
            "id",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    run_id: Mapped[UUID] = mapped_column(ForeignKey("drift_runs.id", ondelete="CASCADE"))
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    model_version: Mapped[str]
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    severity: Mapped[str]
    previous_severity: Mapped[str]
    window_severity: Mapped[str]
    cause: Mapped[str]
    # A shared.contracts.drift.DriftReport.
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class DriftState(Base):
    """Where a model version stands, for all tenants or for one: severity with its hysteresis."""

    __tablename__ = "drift_states"
    __table_args__ = (
        UniqueConstraint("model_version", "tenant_id", postgresql_nulls_not_distinct=True),
        CheckConstraint(one_of("severity", Severity), name="severity"),
        CheckConstraint(
            "warm_windows >= 0 AND hot_windows >= 0 AND calm_windows >= 0", name="counters"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    model_version: Mapped[str]
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    severity: Mapped[str]
    # When it took this severity.
    since: Mapped[datetime]
    # Windows in a row that were at least a warning, that were critical, that showed nothing.
    warm_windows: Mapped[int] = mapped_column(server_default=text("0"))
    hot_windows: Mapped[int] = mapped_column(server_default=text("0"))
    calm_windows: Mapped[int] = mapped_column(server_default=text("0"))
    # The last window that was checked.
    window_end: Mapped[datetime]
    report_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("drift_reports.id", ondelete="SET NULL")
    )
