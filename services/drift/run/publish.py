"""Metrics from stored rows: after a restart they stand as before, and no alert resolves for it."""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from services.drift import metrics
from services.drift.report.severity import ORDER
from services.drift.settings import DriftSettings
from services.drift.statistics.registry import REGISTRY
from services.drift.windows import Plan, next_start
from shared.contracts.drift import Cause, DriftReport, Severity
from shared.db.drift.references import Judged, current_reference_photos, judged_versions
from shared.db.drift.runs import (
    all_states,
    database_time,
    first_unchecked,
    last_window_end,
    latest_report,
)
from shared.db.models import DriftState

_PER_VERSION = (
    metrics.LAST_WINDOW,
    metrics.LAG,
    metrics.SEVERITY,
    metrics.TENANTS,
    metrics.CAUSE,
    metrics.STATISTIC,
    metrics.P_VALUE,
    metrics.PHOTOS,
    metrics.REFERENCE_PHOTOS,
    metrics.ESTIMATED_ACCURACY,
    metrics.FEEDBACK_ACCURACY,
    metrics.FEEDBACK_PHOTOS,
)


def publish(session: Session, settings: DriftSettings) -> None:
    """Set the gauges of every model version in use; a retired one's alert would never resolve."""
    now = database_time(session)
    judged = judged_versions(session)
    active = _active(judged, now, settings)
    limits = settings.drift_active_seconds + settings.drift_window_limit_seconds
    since = now - timedelta(seconds=limits)
    states = [state for state in all_states(session) if state.window_end >= since]
    for name, entry in REGISTRY.items():
        metrics.THRESHOLD.labels(name).set(entry.threshold)
    for gauge in _PER_VERSION:
        gauge.clear()
    for version in active:
        _publish_version(session, version, judged[version], now, settings.plan())
        _publish_states(version, [each for each in states if each.model_version == version])
        report = latest_report(session, version, None)
        if report is not None:
            _publish_report(version, DriftReport.model_validate(report.body))


def _active(judged: dict[str, Judged], now: datetime, settings: DriftSettings) -> list[str]:
    """Return the versions that judge photos; the newest counts however long it has had none."""
    since = now - timedelta(seconds=settings.drift_active_seconds)
    newest = max((each.last for each in judged.values()), default=now)
    return [version for version, each in judged.items() if each.last >= min(since, newest)]


def _publish_version(
    session: Session, version: str, judged: Judged, now: datetime, plan: Plan
) -> None:
    photos, reference_end = current_reference_photos(session, version)
    metrics.REFERENCE_PHOTOS.labels(version).set(photos)
    checked = last_window_end(session, version)
    if checked is not None:
        metrics.LAST_WINDOW.labels(version).set(checked.timestamp())
    lag = 0.0
    if photos or checked is not None:
        start = next_start(plan, checked, reference_end, judged.first)
        oldest = first_unchecked(session, version, start)
        lag = (now - oldest).total_seconds() if oldest is not None else 0.0
    metrics.LAG.labels(version).set(lag)


def _publish_states(version: str, states: list[DriftState]) -> None:
    whole = [Severity(state.severity) for state in states if state.tenant_id is None]
    tenants = [Severity(state.severity) for state in states if state.tenant_id is not None]
    for scope, found in (("all", whole), ("tenants", tenants)):
        worst = max((ORDER[severity] for severity in found), default=0)
        metrics.SEVERITY.labels(version, scope).set(worst)
    counted = Counter(tenants)
    for severity in Severity:
        metrics.TENANTS.labels(version, severity).set(counted[severity])


def _publish_report(version: str, report: DriftReport) -> None:
    for cause in Cause:
        metrics.CAUSE.labels(version, cause).set(cause is report.cause.kind)
    for each in report.statistics:
        metrics.STATISTIC.labels(version, each.name, each.subject).set(each.value)
        if each.p_adjusted is not None:
            metrics.P_VALUE.labels(version, each.name, each.subject).set(each.p_adjusted)
    metrics.PHOTOS.labels(version).set(report.window.photos)
    if report.estimated.accuracy is not None:
        metrics.ESTIMATED_ACCURACY.labels(version).set(report.estimated.accuracy)
    if report.feedback is not None:
        metrics.FEEDBACK_ACCURACY.labels(version).set(report.feedback.accuracy)
        metrics.FEEDBACK_PHOTOS.labels(version).set(report.feedback.photos)
