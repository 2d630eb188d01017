"""JSON bodies of `/drift`: what drift checks found in the caller's own verdicts."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from shared.contracts.drift import (
    AccuracyEstimate,
    CauseFinding,
    Charts,
    ClusterFinding,
    FeedbackAccuracy,
    MixShift,
    ReferenceFacts,
    RunStatus,
    SegmentShift,
    Severity,
    Statistic,
    WindowFacts,
)
from shared.contracts.wire.job_requests import PageLinks
from shared.contracts.wire.jobs import Wire


class DriftCheck(Wire):
    """One finished check of one window."""

    window_start: datetime
    window_end: datetime
    status: RunStatus = Field(
        description="`checked`; or why it was not: `too_few` photos, `empty`, `no_reference` yet."
    )
    finished_at: datetime


class ModelDriftLinks(Wire):
    """Paths relative to the gateway's root."""

    report: str | None = Field(default=None, description="The newest report, as JSON.")
    report_html: str | None = Field(default=None, description="The same as a page with plots.")
    reports: str = Field(description="All reports of this model version.")


class ModelDrift(Wire):
    """Where one model version stands."""

    model_version: str
    severity: Severity = Field(
        description="After hysteresis: it takes windows in a row to raise or to end it."
    )
    since: datetime = Field(description="When it took this severity.")
    checked_until: datetime = Field(
        description="End of the last window that held enough of the tenant's photos."
    )
    cause: CauseFinding | None = Field(
        default=None, description="Of the newest report; null when that is gone."
    )
    last_run: DriftCheck | None = Field(
        default=None, description="The last check of this model version, of all tenants' photos."
    )
    next_run_at: datetime | None = Field(
        default=None,
        description="When the next window ends, one step of the last two after the last."
        " Null after a single check.",
    )
    report_id: UUID | None = None
    links: ModelDriftLinks


class DriftOverview(Wire):
    """`GET /drift`: every model version that judged the tenant's photos and was checked."""

    severity: Severity = Field(description="The worst of `data`.")
    data: list[ModelDrift] = Field(description="The most recently checked model version first.")
    last_run: DriftCheck | None = Field(
        default=None, description="The newest check of any model version; null before the first."
    )


class DriftReportLinks(Wire):
    """Paths relative to the gateway's root."""

    self: str
    html: str = Field(description="The report as a page with plots.")


class DriftReportSummary(Wire):
    """A report as lists and the event `drift.detected` show it."""

    id: UUID
    created_at: datetime
    model_version: str
    window: WindowFacts
    severity: Severity = Field(description="After hysteresis; this is what alerts.")
    previous_severity: Severity
    window_severity: Severity = Field(description="What this window alone would say.")
    cause: CauseFinding
    links: DriftReportLinks


class DriftReportDetail(DriftReportSummary):
    """`GET /drift/reports/{id}`: everything that one check found in the tenant's photos."""

    reference: ReferenceFacts
    statistics: list[Statistic]
    segments: list[SegmentShift] = Field(description="Those that moved first.")
    mixes: list[MixShift]
    cluster: ClusterFinding | None = Field(
        default=None, description="A new cluster in embedding space, when it is the cause."
    )
    examples: list[UUID] = Field(description="Ids of photos that show the finding best.")
    estimated: AccuracyEstimate = Field(
        description="Accuracy that the calibrated probabilities themselves imply, without labels."
    )
    feedback: FeedbackAccuracy | None = Field(
        default=None, description="Accuracy by reviewers' labels; null without any."
    )
    charts: Charts
    notes: list[str] = Field(description="What could not be looked at, and why.")


class DriftReportPage(Wire):
    """`GET /drift/reports`, the newest window first."""

    data: list[DriftReportSummary]
    next_cursor: str | None = Field(
        default=None, description="Send it as `cursor` with the same filters; null at the end."
    )
    links: PageLinks
