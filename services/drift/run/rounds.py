"""A round: for every model version, make its reference, then check each window that has ended."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from services.drift import metrics
from services.drift.reference.frozen import NoReference, Reference, freeze, thaw
from services.drift.reference.requests import carry_out
from services.drift.run.check import Checker, slow_reading
from services.drift.settings import DriftSettings
from services.drift.windows import DueWindow, next_start, next_window
from shared.contracts.drift import RunStatus
from shared.core.logging import get_logger
from shared.db.drift.counts import Span
from shared.db.drift.references import (
    Judged,
    current_reference,
    current_reference_id,
    judged_versions,
    store_reference,
)
from shared.db.drift.runs import (
    NewRun,
    add_run,
    database_time,
    delete_old,
    has_drifted,
    last_window_end,
    photos_by_slot,
)
from shared.db.engine import SessionFactory

log = get_logger(__name__)


@dataclass
class Rounds:
    """Everything that is due, in the order of time. What it decides rests on stored rows alone."""

    sessions: SessionFactory
    settings: DriftSettings
    stopping: threading.Event = field(default_factory=threading.Event)
    _cached: Reference | None = None

    def run(self) -> int:
        """Do what is due of every version; returns how many windows were finished.

        What operators asked for comes first: it is what windows are compared with.
        """
        carry_out(self.sessions, self.settings)
        with self.sessions() as session:
            versions = judged_versions(session)
        return sum(self._advance(version, judged) for version, judged in versions.items())

    def tidy(self) -> None:
        """Delete reports and checks that are past their time."""
        with self.sessions.begin() as session:
            reports, runs = delete_old(
                session,
                self.settings.drift_quiet_retention_seconds,
                self.settings.drift_retention_seconds,
            )
        metrics.REPORTS_DELETED.inc(reports)
        if reports or runs:
            log.info("drift.purged", reports=reports, runs=runs)

    def _advance(self, version: str, judged: Judged) -> int:
        finished = 0
        checker = Checker(self.sessions, self.settings)
        while not self.stopping.is_set():
            reference = self._reference(version, judged)
            due = self._due(version, judged, reference) if reference else None
            if reference is None or due is None:
                break
            reference = self._renewed(version, reference, due)
            with metrics.RUN_SECONDS.time():
                status = checker.check(version, due, reference)
            if status is not None:
                metrics.RUNS.labels(status).inc()
                finished += 1
                log.info(
                    "drift.checked",
                    model_version=version,
                    window_start=due.start.isoformat(),
                    window_end=due.end.isoformat(),
                    photos=due.photos,
                    status=status,
                )
        return finished

    def _due(self, version: str, judged: Judged, reference: Reference) -> DueWindow | None:
        plan = self.settings.plan()
        with self.sessions() as session:
            slow_reading(session, self.settings)
            checked = last_window_end(session, version)
            start = next_start(plan, checked, reference.facts.end, judged.first)
            until = self._until(session)
            if until < start + plan.step:
                return None
            slots = photos_by_slot(session, version, start, plan.floor(until), plan.step)
        return next_window(plan, start, until, slots)

    def _reference(self, version: str, judged: Judged) -> Reference | None:
        """Return the version's reference, made now if there are photos enough for a first one."""
        with self.sessions() as session:
            known = current_reference_id(session, version)
        if known is not None:
            return self._load(version, known)
        span = self._first_span(version, judged)
        if span is None:
            return None
        try:
            return self._freeze(span)
        except NoReference as reason:
            log.warning("drift.no_reference", model_version=version, reason=str(reason))
            self._pass_over(span)
            return None

    def _load(self, version: str, known: UUID) -> Reference | None:
        # One is kept: a second version's is read again for each of its windows.
        if self._cached is None or self._cached.facts.id != known:
            with self.sessions() as session:
                row = current_reference(session, version)
            self._cached = thaw(row) if row else None
        return self._cached

    def _first_span(self, version: str, judged: Judged) -> Span | None:
        """Return the first window that is long enough and holds enough photos, once it is over."""
        settings, plan = self.settings, self.settings.plan()
        with self.sessions() as session:
            slow_reading(session, settings)
            start = last_window_end(session, version) or plan.floor(judged.first)
            until = self._until(session)
            slots = photos_by_slot(session, version, start, plan.floor(until), plan.step)
        total, shortest = 0, timedelta(seconds=settings.drift_first_reference_seconds)
        for slot in range((plan.floor(until) - start) // plan.step):
            total += slots.get(slot, 0)
            end = start + (slot + 1) * plan.step
            if total >= settings.drift_reference_photos and end - start >= shortest:
                return Span(version, start, end)
        return None

    def _renewed(self, version: str, reference: Reference, due: DueWindow) -> Reference:
        """Return a reference of the week before `due`, once, when nothing drifted in it."""
        facts, length = reference.facts, timedelta(seconds=self.settings.drift_reference_seconds)
        start = self.settings.plan().floor(due.start - length)
        if facts.chosen or facts.start is None or facts.end is None:
            return reference
        if facts.end - facts.start >= length or start < facts.start:
            return reference
        with self.sessions() as session:
            if has_drifted(session, version, start):
                return reference
        try:
            return self._freeze(Span(version, start, due.start))
        except NoReference as reason:
            log.warning("drift.not_renewed", model_version=version, reason=str(reason))
            return reference

    def _freeze(self, span: Span) -> Reference:
        with self.sessions() as session:
            slow_reading(session, self.settings)
            new = freeze(session, span)
        with self.sessions.begin() as session:
            row = store_reference(session, new)
        log.info(
            "drift.reference_frozen",
            model_version=span.model_version,
            window_start=span.start.isoformat(),
            window_end=span.end.isoformat(),
            photos=new.photos,
            embeddings=new.embeddings is not None,
        )
        self._cached = thaw(row)
        return self._cached

    def _pass_over(self, span: Span) -> None:
        """Note that a window made no reference: the next try begins after it."""
        run = NewRun(
            span.model_version, span.start, span.end, RunStatus.NO_REFERENCE, 0, seconds=0.0
        )
        with self.sessions.begin() as session:
            add_run(session, run)
        metrics.RUNS.labels(RunStatus.NO_REFERENCE).inc()

    def _until(self, session: Session) -> datetime:
        return database_time(session) - timedelta(seconds=self.settings.drift_settle_seconds)
