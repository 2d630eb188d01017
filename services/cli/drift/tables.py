"""Drift as tables and lines."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from services.cli.output import print_table, say
from services.cli.times import shown
from shared.present.drift_words import (
    CAUSE_ADVICE,
    CAUSE_WORDS,
    DIMENSION_WORDS,
    SEVERITY_WORDS,
    reference_words,
    statistic_words,
    subject_words,
)

if TYPE_CHECKING:
    from shared.contracts.drift import SegmentShift, Statistic
    from shared.contracts.wire.drift import (
        DriftOverview,
        DriftReportDetail,
        DriftReportSummary,
        ModelDrift,
    )

_STYLE = {"none": "green", "warning": "yellow", "critical": "red"}
_SEGMENTS = 10

_Row = Sequence[tuple[str, str]]


def print_overview(overview: "DriftOverview") -> None:
    """Print one row for each model version, and when the service last worked."""
    if overview.data:
        print_table(
            ["model", "severity", "since", "checked until", "next check", "cause", "report"],
            map(_standing, overview.data),
        )
    else:
        say("no check has had enough photos yet.")
    last = overview.last_run
    if last is None and not overview.data:
        say("no window has been checked; is the drift service running?")
    elif last is not None:
        window = f"{shown(last.window_start)} to {shown(last.window_end)}"
        say(f"last check: {shown(last.finished_at)}, window {window}: {last.status.value}")


def print_reports(reports: "Iterable[DriftReportSummary]") -> None:
    """Print one row each."""
    print_table(
        ["id", "window until", "model", "photos", "severity", "before", "cause"],
        map(_summary, reports),
        right=["photos"],
    )


def print_report(report: "DriftReportDetail") -> None:
    """Print what a person on call reads first, then the tests and the segments that moved."""
    window, cause = report.window, report.cause
    say(f"report {report.id} of model {report.model_version}")
    say(f"window {shown(window.start)} to {shown(window.end)} UTC: {window.photos} photos")
    say(f"compared with: {reference_words(report.reference, report.model_version)}")
    before = SEVERITY_WORDS[report.previous_severity]
    say(f"severity: {SEVERITY_WORDS[report.severity]} (before: {before})")
    say(f"cause: {cause.headline}")
    say(f"  {CAUSE_WORDS[cause.kind]}.")
    for sentence in cause.evidence:
        say(f"  - {sentence}")
    say(f"what to do: {CAUSE_ADVICE[cause.kind]}")
    _say_accuracy(report)
    print_table(
        ["statistic", "of", "effect", "threshold", "p corrected", "drifted"],
        map(_statistic, report.statistics),
        right=["effect", "threshold", "p corrected"],
    )
    if report.segments:
        print_table(
            ["segment", "value", "photos", "share before", "share now", "distance", "moved"],
            map(_segment, report.segments[:_SEGMENTS]),
            right=["photos", "share before", "share now", "distance"],
        )
    for note in report.notes:
        say(f"note: {note}")
    if report.examples:
        say(f"example photos: {' '.join(map(str, report.examples[:5]))}")


def _say_accuracy(report: "DriftReportDetail") -> None:
    estimated, feedback = report.estimated, report.feedback
    if estimated.accuracy is not None:
        was = estimated.reference_accuracy
        compared = f" (reference: {was:.1%})" if was is not None else ""
        say(f"estimated accuracy: {estimated.accuracy:.1%}{compared}")
    if feedback is not None:
        say(
            f"by reviewers' labels: {feedback.accuracy:.1%} of {feedback.photos} photos"
            f" ({feedback.low:.1%} to {feedback.high:.1%})"
        )


def _standing(state: "ModelDrift") -> _Row:
    return [
        (state.model_version, ""),
        (SEVERITY_WORDS[state.severity], _STYLE[state.severity.value]),
        (shown(state.since), "dim"),
        (shown(state.checked_until), "dim"),
        (shown(state.next_run_at), "dim"),
        (state.cause.headline if state.cause else "", ""),
        (str(state.report_id or ""), ""),
    ]


def _summary(report: "DriftReportSummary") -> _Row:
    return [
        (str(report.id), ""),
        (shown(report.window.end), "dim"),
        (report.model_version, ""),
        (str(report.window.photos), ""),
        (SEVERITY_WORDS[report.severity], _STYLE[report.severity.value]),
        (SEVERITY_WORDS[report.previous_severity], "dim"),
        (report.cause.headline, ""),
    ]


def _statistic(each: "Statistic") -> _Row:
    return [
        (statistic_words(each.name), ""),
        (subject_words(each.subject), "dim"),
        (f"{each.value:.4f}", ""),
        (f"{each.threshold:g}", "dim"),
        (f"{each.p_adjusted:.1g}" if each.p_adjusted is not None else "", ""),
        ("drifted" if each.drifted else "", "red"),
    ]


def _segment(each: "SegmentShift") -> _Row:
    return [
        (DIMENSION_WORDS[each.dimension], ""),
        (each.value, ""),
        (str(each.photos), ""),
        (f"{each.reference_share:.1%}", "dim"),
        (f"{each.current_share:.1%}", ""),
        (f"{each.score_distance:.3f}" if each.score_distance is not None else "", ""),
        ("moved" if each.moved else "", "red"),
    ]
