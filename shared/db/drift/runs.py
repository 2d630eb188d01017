"""Checks of windows and what they found: written in one transaction, each window once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.contracts.drift import DriftReport as ReportBody
from shared.contracts.drift import RunStatus, Severity
from shared.core.ids import new_id
from shared.db.drift.segments import IS_REHEARSAL, IS_TRAFFIC
from shared.db.models import DriftReport, DriftRun, DriftState

_SLOT = "CAST(floor(extract(epoch FROM v.created_at - CAST(:start AS timestamptz)) / :step) AS int)"
_WINDOW = "v.model_version = :model_version AND v.created_at >= :start AND v.created_at < :end"
# Photos per slot of `step` seconds from `start` on, all by the index on verdicts: less those of a
# rehearsal, which are few, so that all others need no look at whose they are.
_SLOTS = text(f"""
SELECT slot, CAST(sum(photos) AS bigint) AS photos FROM (
    SELECT {_SLOT} AS slot, count(*) AS photos FROM verdicts v WHERE {_WINDOW} GROUP BY 1
    UNION ALL
    SELECT {_SLOT}, -count(*)
    FROM images i JOIN verdicts v ON v.image_id = i.id
    WHERE i.status = 'succeeded' AND {IS_REHEARSAL} AND {_WINDOW} GROUP BY 1) AS counted
GROUP BY slot HAVING sum(photos) > 0 ORDER BY slot
""")  # noqa: S608  # of constants only

_FIRST = text(f"""
SELECT v.created_at FROM verdicts v JOIN images i ON i.id = v.image_id
WHERE v.model_version = :model_version AND v.created_at >= :since AND {IS_TRAFFIC}
ORDER BY v.created_at LIMIT 1
""")  # noqa: S608  # of constants only


@dataclass(frozen=True, slots=True)
class NewRun:
    """A finished check to store; see `DriftRun`."""

    model_version: str
    window_start: datetime
    window_end: datetime
    status: RunStatus
    photos: int
    seconds: float
    reference_id: UUID | None = None


def database_time(session: Session) -> datetime:
    """Return the database's clock, by which verdicts are stamped."""
    moment: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment


def last_window_end(session: Session, model_version: str) -> datetime | None:
    """Return until when a model version's verdicts have been checked."""
    return session.execute(
        select(DriftRun.window_end)
        .where(DriftRun.model_version == model_version)
        .order_by(DriftRun.window_end.desc())
        .limit(1)
    ).scalar_one_or_none()


def photos_by_slot(
    session: Session, model_version: str, start: datetime, end: datetime, step: timedelta
) -> dict[int, int]:
    """Return photos judged in each slot of length `step` from `start`; empty slots are absent."""
    rows = session.execute(
        _SLOTS,
        {
            "model_version": model_version,
            "start": start,
            "end": end,
            "step": step.total_seconds(),
        },
    )
    return {row.slot: row.photos for row in rows}


def add_run(session: Session, run: NewRun) -> UUID | None:
    """Store a check; None when this window has been checked already, by whomever."""
    return session.execute(
        insert(DriftRun)
        .values(
            id=new_id(),
            model_version=run.model_version,
            window_start=run.window_start,
            window_end=run.window_end,
            status=run.status.value,
            reference_id=run.reference_id,
            photos=run.photos,
            seconds=run.seconds,
        )
        .on_conflict_do_nothing(index_elements=["model_version", "window_end"])
        .returning(DriftRun.id)
    ).scalar_one_or_none()


def add_report(session: Session, run_id: UUID, body: ReportBody) -> UUID:
    """Store what a check found for one scope; returns the report's id."""
    report = DriftReport(
        run_id=run_id,
        tenant_id=body.tenant_id,
        model_version=body.model_version,
        window_start=body.window.start,
        window_end=body.window.end,
        severity=body.severity.value,
        previous_severity=body.previous_severity.value,
        window_severity=body.window_severity.value,
        cause=body.cause.kind.value,
        body=body.model_dump(mode="json"),
    )
    session.add(report)
    session.flush()
    return report.id


def states_of(session: Session, model_version: str) -> dict[UUID | None, DriftState]:
    """Return a model version's states by tenant, and by None for all tenants together."""
    rows = session.execute(select(DriftState).where(DriftState.model_version == model_version))
    return {state.tenant_id: state for state in rows.scalars()}


def all_states(session: Session) -> Sequence[DriftState]:
    """Return the states of every model version."""
    return session.execute(select(DriftState)).scalars().all()


def has_drifted(session: Session, model_version: str, since: datetime) -> bool:
    """Return whether any report since then is of a severity, or the newest of a suspicious one."""
    own = DriftReport.model_version == model_version
    raised = select(DriftReport.id).where(
        own, DriftReport.window_end > since, DriftReport.severity != Severity.NONE.value
    )
    newest = select(func.max(DriftReport.window_end)).where(own).scalar_subquery()
    suspected = select(DriftReport.id).where(
        own,
        DriftReport.window_end == newest,
        DriftReport.window_severity != Severity.NONE.value,
    )
    return session.execute(raised.union_all(suspected).limit(1)).first() is not None


def first_unchecked(session: Session, model_version: str, since: datetime) -> datetime | None:
    """Return when the oldest verdict from `since` on was made."""
    return session.execute(
        _FIRST, {"model_version": model_version, "since": since}
    ).scalar_one_or_none()


def latest_report(
    session: Session, model_version: str, tenant_id: UUID | None
) -> DriftReport | None:
    """Return the newest report of a scope; `tenant_id` None is all tenants together."""
    return session.execute(
        select(DriftReport)
        .where(
            DriftReport.model_version == model_version,
            DriftReport.tenant_id.is_not_distinct_from(tenant_id),
        )
        .order_by(DriftReport.window_end.desc())
        .limit(1)
    ).scalar_one_or_none()


def put_state(session: Session, state: dict[str, Any]) -> None:
    """Insert or replace the state of (model_version, tenant_id)."""
    new = insert(DriftState).values(id=new_id(), **state)
    session.execute(
        new.on_conflict_do_update(
            index_elements=["model_version", "tenant_id"],
            set_={key: new.excluded[key] for key in state},
        )
    )


def delete_old(session: Session, quiet_seconds: float, kept_seconds: float) -> tuple[int, int]:
    """Delete reports and checks past their time; returns how many of each.

    Reports of severity none go after `quiet_seconds`, others and checks after `kept_seconds`; the
    newest check of a model version stays, for it says where to go on.
    """
    now = database_time(session)
    quiet, kept = (now - timedelta(seconds=age) for age in (quiet_seconds, kept_seconds))
    old = (DriftReport.window_end < kept) | (
        (DriftReport.window_end < quiet)
        & (DriftReport.severity == Severity.NONE.value)
        & (DriftReport.previous_severity == Severity.NONE.value)
    )
    reports = session.execute(delete(DriftReport).where(old).returning(DriftReport.id)).all()
    later = select(DriftRun.model_version, DriftRun.window_end).subquery("later")
    runs = session.execute(
        delete(DriftRun)
        .where(
            DriftRun.window_end < kept,
            select(later.c.window_end)
            .where(
                later.c.model_version == DriftRun.model_version,
                later.c.window_end > DriftRun.window_end,
            )
            .exists(),
        )
        .returning(DriftRun.id)
    ).all()
    return len(reports), len(runs)
