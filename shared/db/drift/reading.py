"""What drift checks found, for one scope: a tenant's own, or (None) all tenants together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.contracts.drift import SIMULATION, Severity
from shared.db.models import DriftReport, DriftRun, DriftState
from shared.db.paging import Place, behind


@dataclass(frozen=True, slots=True)
class StateView:
    """Where a model version stands in one scope; `step` parts its last two windows."""

    state: DriftState
    # The newest of the scope, unless retention has removed it.
    report: DriftReport | None
    last_run: DriftRun | None
    step: timedelta | None


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports to list; every condition that is set must hold."""

    # Any of these; none for all.
    severities: Sequence[Severity] = ()
    model_version: str | None = None
    # From this instant on, and up to but without that one: windows tile without overlap.
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Some reports, and where the next page begins; None at the end."""

    reports: Sequence[DriftReport]
    next: Place | None


def list_states(session: Session, tenant_id: UUID | None) -> list[StateView]:
    """Return the scope's model versions, the most recently checked first."""
    found = session.execute(
        select(DriftState, DriftReport)
        .outerjoin(DriftReport, DriftReport.id == DriftState.report_id)
        .where(_of_scope(DriftState.tenant_id, tenant_id))
        .order_by(DriftState.window_end.desc(), DriftState.model_version)
    ).all()
    return [_view(session, state, report) for state, report in found]


def newest_run(session: Session) -> DriftRun | None:
    """Return the check that finished last, simulations left out; None before the first."""
    newest = (
        select(DriftRun)
        .where(~DriftRun.model_version.startswith(SIMULATION))
        .order_by(DriftRun.created_at.desc(), DriftRun.id)
        .limit(1)
    )
    return session.execute(newest).scalar_one_or_none()


def list_reports(
    session: Session,
    tenant_id: UUID | None,
    wanted: ReportFilter,
    limit: int,
    after: Place | None = None,
) -> ReportPage:
    """Return up to `limit` reports of the scope behind `after`, the newest window first.

    A place is the end of the last report's window and its id.
    """
    query = _filtered(tenant_id, wanted)
    if after is not None:
        query = query.where(behind(after, DriftReport.window_end, DriftReport.id))
    # The order of ix_drift_reports_tenant_id_window_end.
    query = query.order_by(DriftReport.window_end.desc(), DriftReport.id).limit(limit + 1)
    rows = session.execute(query).scalars().all()
    page = rows[:limit]
    more = len(rows) > limit
    return ReportPage(page, Place(page[-1].window_end, page[-1].id) if more else None)


def get_report(session: Session, tenant_id: UUID | None, report_id: UUID) -> DriftReport | None:
    """Return the scope's report; None when there is none of this id, or it is another scope's."""
    return session.execute(
        select(DriftReport).where(
            DriftReport.id == report_id, _of_scope(DriftReport.tenant_id, tenant_id)
        )
    ).scalar_one_or_none()


def _view(session: Session, state: DriftState, report: DriftReport | None) -> StateView:
    runs = (
        session.execute(
            select(DriftRun)
            .where(DriftRun.model_version == state.model_version)
            .order_by(DriftRun.window_end.desc())
            .limit(2)
        )
        .scalars()
        .all()
    )
    step = runs[0].window_end - runs[1].window_end if len(runs) == 2 else None
    return StateView(state, report, runs[0] if runs else None, step)


def _filtered(tenant_id: UUID | None, wanted: ReportFilter) -> Select[DriftReport]:
    query = select(DriftReport).where(_of_scope(DriftReport.tenant_id, tenant_id))
    if wanted.severities:
        query = query.where(DriftReport.severity.in_([each.value for each in wanted.severities]))
    if wanted.model_version is not None:
        query = query.where(DriftReport.model_version == wanted.model_version)
    if wanted.created_after is not None:
        query = query.where(DriftReport.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(DriftReport.created_at < wanted.created_before)
    return query


def _of_scope(
    column: InstrumentedAttribute[UUID | None], tenant_id: UUID | None
) -> ColumnElement[bool]:
    return column.is_(None) if tenant_id is None else column == tenant_id
