"""Rows of drift checks to the JSON that clients see."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from shared.contracts.drift import DriftReport, RunStatus, Severity
from shared.contracts.wire.drift import (
    DriftCheck,
    DriftOverview,
    DriftReportDetail,
    DriftReportLinks,
    DriftReportSummary,
    ModelDrift,
    ModelDriftLinks,
)
from shared.db import models
from shared.db.drift.reading import StateView

# Rising.
SEVERITIES = (Severity.NONE, Severity.WARNING, Severity.CRITICAL)


def report_path(report_id: UUID) -> str:
    """Return the report's path."""
    return f"/drift/reports/{report_id}"


def overview_body(
    views: Sequence[StateView], newest: models.DriftRun | None = None
) -> DriftOverview:
    """Return where every model version of a scope stands."""
    data = [_standing(view) for view in views]
    worst = max((each.severity for each in data), key=SEVERITIES.index, default=Severity.NONE)
    return DriftOverview(severity=worst, data=data, last_run=_check(newest))


def summary_body(row: models.DriftReport) -> DriftReportSummary:
    """Return a report as lists and the event show it."""
    found = DriftReport.model_validate(row.body)
    return DriftReportSummary(**_common(row, found))


def detail_body(row: models.DriftReport) -> DriftReportDetail:
    """Return a whole report."""
    found = DriftReport.model_validate(row.body)
    own = DriftReportDetail.model_fields.keys() - DriftReportSummary.model_fields.keys()
    return DriftReportDetail(**_common(row, found), **{name: getattr(found, name) for name in own})


def _common(row: models.DriftReport, found: DriftReport) -> dict[str, Any]:
    path = report_path(row.id)
    return {
        "id": row.id,
        "created_at": row.created_at,
        "model_version": found.model_version,
        "window": found.window,
        "severity": found.severity,
        "previous_severity": found.previous_severity,
        "window_severity": found.window_severity,
        "cause": found.cause,
        "links": DriftReportLinks(self=path, html=f"{path}/html"),
    }


def _standing(view: StateView) -> ModelDrift:
    state, run = view.state, view.last_run
    path = report_path(view.report.id) if view.report else None
    return ModelDrift(
        model_version=state.model_version,
        severity=Severity(state.severity),
        since=state.since,
        checked_until=state.window_end,
        cause=DriftReport.model_validate(view.report.body).cause if view.report else None,
        last_run=_check(run),
        next_run_at=run.window_end + view.step if run and view.step else None,
        report_id=view.report.id if view.report else None,
        links=ModelDriftLinks(
            report=path,
            report_html=f"{path}/html" if path else None,
            reports=f"/drift/reports?{urlencode({'model_version': state.model_version})}",
        ),
    )


def _check(run: models.DriftRun | None) -> DriftCheck | None:
    if run is None:
        return None
    return DriftCheck(
        window_start=run.window_start,
        window_end=run.window_end,
        status=RunStatus(run.status),
        finished_at=run.created_at,
    )
