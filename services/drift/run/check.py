"""One window: read it, analyse it, and write what was found in one transaction."""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.drift import metrics
from services.drift.analysis.accuracy import from_feedback
from services.drift.analysis.counts import Counts, Cube, Scope, build_cube
from services.drift.analysis.embeddings import Embeddings, from_sample
from services.drift.analysis.window import ScopeResult, Window, analyse, checked_scopes
from services.drift.reference.frozen import Reference
from services.drift.report.events import event_subject
from services.drift.report.severity import ORDER, State
from services.drift.settings import DriftSettings
from services.drift.windows import DueWindow
from shared.contracts.drift import Cause, DriftReport, RunStatus, Severity
from shared.contracts.events import EventType
from shared.core.logging import get_logger
from shared.db.drift.counts import Span, count_verdicts
from shared.db.drift.feedback import count_feedback
from shared.db.drift.runs import NewRun, add_report, add_run, put_state, states_of
from shared.db.drift.samples import SampledPhoto, find_examples, sample_tenants
from shared.db.engine import SessionFactory
from shared.db.models import DriftState
from shared.db.webhooks.events import emit

log = get_logger(__name__)

# Photos shown of a shift that is no cluster.
_EXAMPLES = 12


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks windows over one set of connections."""

    sessions: SessionFactory
    settings: DriftSettings

    def check(self, version: str, due: DueWindow, reference: Reference) -> RunStatus | None:
        """Check one window; None when another process has done so meanwhile."""
        started = time.monotonic()
        span = Span(version, due.start, due.end)
        results: Sequence[ScopeResult] = ()
        photos = 0
        if due.photos:
            window = self._read(span, reference)
            photos = round(window.cube.whole(None).photos)
            with self.sessions() as session:
                states = {scope: _state(row) for scope, row in states_of(session, version).items()}
            results = analyse(reference, window, states, self.settings.rules(), _rng(span))
            results = self._complete(results, reference, window)
        run = NewRun(
            version,
            due.start,
            due.end,
            _status(due, results),
            photos,
            time.monotonic() - started,
            reference.facts.id,
        )
        return run.status if self._write(run, results) else None

    def _read(self, span: Span, reference: Reference) -> Window:
        """Return the window's counts and samples, all of one moment."""
        with self.sessions() as session:
            slow_reading(session, self.settings)
            rows = count_verdicts(session, span, reference.binning)
            cube = build_cube(rows, len(reference.binning.edges) + 1)
            scopes = checked_scopes(reference.cube, cube, self.settings.drift_min_photos)
            vectors: dict[Scope, Embeddings] = {}
            if reference.embeddings:
                vectors = self._sample(session, span, reference, cube)
        return Window(span, cube, {scope: vectors[scope] for scope in scopes if scope in vectors})

    def _sample(
        self, session: Session, span: Span, reference: Reference, cube: Cube
    ) -> dict[Scope, Embeddings]:
        """Return a sample of all tenants together, under None, and one of each tenant."""
        limit = self.settings.drift_sample_photos
        independent = {tenant: round(cube.whole(tenant).independent) for tenant in cube.tenants()}
        photos = sample_tenants(session, span, reference.binning, limit, independent)
        own: dict[Scope, list[SampledPhoto]] = {None: photos[:limit]}
        for photo in photos:
            own.setdefault(photo.tenant_id, []).append(photo)
        found = {scope: from_sample(sampled) for scope, sampled in own.items()}
        return {scope: sample for scope, sample in found.items() if sample is not None}

    def _complete(
        self, results: Sequence[ScopeResult], reference: Reference, window: Window
    ) -> list[ScopeResult]:
        """Add to each report what more questions to the database tell."""
        completed = []
        labelled = Span(
            window.span.model_version,
            window.span.end - timedelta(seconds=self.settings.drift_feedback_seconds),
            window.span.end,
        )
        with self.sessions() as session:
            slow_reading(session, self.settings)
            for result in results:
                update = {
                    "feedback": from_feedback(count_feedback(session, labelled, result.scope)),
                    "examples": _examples(session, result, reference, window),
                }
                report = result.report.model_copy(update=update)
                completed.append(replace(result, report=report))
        return completed

    def _write(self, run: NewRun, results: Sequence[ScopeResult]) -> bool:
        """Write check, reports, states and events, all or nothing; False when it was there."""
        raised = []
        with self.sessions.begin() as session:
            run_id = add_run(session, run)
            if run_id is None:
                return False
            states = states_of(session, run.model_version)
            for result in results:
                report_id = add_report(session, run_id, result.report)
                row = states.get(result.scope)
                changed = row is None or row.severity != result.state.severity
                since = run.window_end if row is None or changed else row.since
                put_state(session, _row(run, result, report_id, since))
                if _rose(result.report):
                    raised.append(result)
                    _tell(session, result, report_id)
        for result in raised:
            _note(result)
        return True


def slow_reading(session: Session, settings: DriftSettings) -> None:
    """Let this transaction's statements read millions of rows, all as of one moment."""
    milliseconds = round(settings.drift_statement_seconds * 1000)
    session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    session.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
    # Summing the counts up, between two statements, takes its time on a busy machine.
    session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"))
    # Hash tables of the counts; what does not fit goes to disk.
    session.execute(text("SET LOCAL work_mem = '64MB'"))


def _status(due: DueWindow, results: Sequence[ScopeResult]) -> RunStatus:
    if not due.photos:
        return RunStatus.EMPTY
    return RunStatus.CHECKED if results else RunStatus.TOO_FEW


def _rng(span: Span) -> np.random.Generator:
    """Return the window's own generator: checked again, it gives the same result."""
    return np.random.default_rng(
        [zlib.crc32(span.model_version.encode()), round(span.end.timestamp())]
    )


def _state(row: DriftState) -> State:
    return State(Severity(row.severity), row.warm_windows, row.hot_windows, row.calm_windows)


def _row(run: NewRun, result: ScopeResult, report_id: UUID, since: datetime) -> dict[str, object]:
    return {
        "model_version": run.model_version,
        "tenant_id": result.scope,
        "severity": result.state.severity.value,
        "since": since,
        "warm_windows": result.state.warm,
        "hot_windows": result.state.hot,
        "calm_windows": result.state.calm,
        "window_end": run.window_end,
        "report_id": report_id,
    }


def _rose(report: DriftReport) -> bool:
    return ORDER[report.severity] > ORDER[report.previous_severity]


def _tell(session: Session, result: ScopeResult, report_id: UUID) -> None:
    """Queue the tenant's event. What concerns all tenants together is the operator's alone."""
    if result.scope is not None:
        subject = event_subject(result.report, report_id)
        emit(session, result.scope, EventType.DRIFT_DETECTED, subject)


def _note(result: ScopeResult) -> None:
    report = result.report
    scope = "all" if result.scope is None else "tenant"
    metrics.RAISED.labels(report.severity, report.cause.kind, scope).inc()
    log.warning(
        "drift.detected",
        model_version=report.model_version,
        tenant_id=str(result.scope) if result.scope else None,
        severity=report.severity,
        cause=report.cause.kind,
        headline=report.cause.headline,
        window_end=report.window.end.isoformat(),
    )


def _examples(
    session: Session, result: ScopeResult, reference: Reference, window: Window
) -> list[UUID]:
    """Return photos that show a shift: of its segment, at the logit that became most frequent."""
    report = result.report
    if report.examples or report.cause.kind is Cause.NONE:
        return report.examples
    place = (
        (report.cause.dimension, report.cause.value)
        if report.cause.dimension is not None and report.cause.value is not None
        else None
    )
    before, now = reference.cube.whole(result.scope), window.cube.whole(result.scope)
    return find_examples(
        session,
        window.span,
        reference.binning.categories,
        place,
        _grown_logit(before, now),
        _EXAMPLES,
        result.scope,
        round(now.photos),
    )


def _grown_logit(before: Counts, now: Counts) -> float:
    gains = now.bins / now.photos - before.bins / before.photos
    gains[now.bins == 0] = -1.0
    grown = int(np.argmax(gains))
    return float(now.logits[grown] / now.bins[grown])
