"""The sections of a drift report's page."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID
from xml.etree.ElementTree import Element

from shared.contracts.drift import SegmentShift, Statistic
from shared.contracts.page_links import photo_link
from shared.contracts.wire.drift import DriftReportDetail
from shared.present.drift_words import (
    CAUSE_ADVICE,
    CAUSE_WORDS,
    DIMENSION_WORDS,
    statistic_words,
    subject_words,
)
from shared.present.images import image_path
from shared.present.markup import Child, el
from shared.present.svg import bars, histogram, scatter

_NUMBER = "n"


def cause(report: DriftReportDetail) -> Element:
    """Say what happened, why it is thought so, and what to do."""
    found = report.cause
    return el(
        "section",
        el("h2", "Cause"),
        el("p", found.headline, class_="headline"),
        el("p", f"{CAUSE_WORDS[found.kind]}."),
        el("ul", *(el("li", sentence) for sentence in found.evidence)),
        el("p", el("strong", "What to do: "), CAUSE_ADVICE[found.kind]),
    )


def accuracy(report: DriftReportDetail) -> Element:
    """Show what calibration expects and what reviewers found."""
    estimated, feedback = report.estimated, report.feedback
    rows: list[Sequence[Child]] = [
        ("estimated without labels", _percent(estimated.accuracy), _count(estimated.photos)),
        ("the same of the reference", _percent(estimated.reference_accuracy), ""),
        (
            "estimated false-accusation rate",
            _percent(estimated.false_accusation_rate),
            "of the expected real photos",
        ),
        ("estimated recall", _percent(estimated.recall), "of the expected AI-generated photos"),
    ]
    if feedback is not None:
        rows.append(
            (
                "by reviewers' labels",
                f"{_percent(feedback.accuracy)} ({feedback.low:.1%} to {feedback.high:.1%})",
                (
                    f"{_count(feedback.photos)} reviewed: {feedback.false_accusations} false"
                    f" accusations, {feedback.missed} missed"
                ),
            )
        )
    hint = "No photo of this model version has been reviewed." if feedback is None else None
    return el(
        "section",
        el("h2", "Accuracy"),
        _table(["", "share", "of"], rows, numbers={1}),
        _hint(
            "The estimate trusts the calibration: a new generator whose photos look real to the"
            " model is not seen by it. Reviewers look mostly at doubtful photos."
        ),
        _hint(hint) if hint else None,
    )


def scores(report: DriftReportDetail) -> Element:
    """Draw the scores and the labels, before and now."""
    labels = report.charts.labels
    drawn = None
    if labels:
        before, now = zip(*labels.values(), strict=True)
        drawn = bars([name.replace("_", "-") for name in labels], before, now)
    return el(
        "section",
        el("h2", "Scores"),
        _legend(("before", "reference"), ("now", "this window")),
        histogram(report.charts.logits, "raw score (logit); right is AI-generated"),
        el("h3", "Verdicts"),
        drawn,
    )


def statistics(report: DriftReportDetail) -> Element:
    """List every test with effect, threshold and significance."""
    head = [
        "statistic", "of", "effect", "threshold", "p", "p, corrected", "reference", "now", "",
    ]  # fmt: skip
    rows = [_statistic(each) for each in report.statistics]
    moved = {index for index, each in enumerate(report.statistics) if each.drifted}
    return el(
        "section",
        el("h2", "Statistics"),
        _table(head, rows, numbers={2, 3, 4, 5, 6, 7}, marked=moved),
        _hint(
            "It drifts when the effect reaches its threshold and the p-value, corrected for all"
            " tests of the check, is below its limit. Sizes count independent photos."
        ),
    )


def mixes(report: DriftReportDetail) -> Element:
    """Draw the shares of each dimension's values, and say what their change explains."""
    shifts = {each.dimension: each for each in report.mixes}
    parts: list[Child] = []
    for chart in report.charts.mixes:
        shift = shifts.get(chart.dimension)
        name = DIMENSION_WORDS[chart.dimension]
        parts.append(el("h3", name[0].upper() + name[1:]))
        if shift is not None:
            text = f"{shift.moved_share:.1%} of the photos moved between values"
            if shift.explained is not None:
                text += f"; explains {shift.explained:.0%} of the scores' distance"
            parts.append(_hint(f"{text}."))
        if chart.values:
            parts.append(bars(chart.values, chart.reference, chart.current))
    return el(
        "section",
        el("h2", "What the photos are"),
        _legend(("before", "reference"), ("now", "this window")),
        *parts,
    )


def segments(report: DriftReportDetail) -> Element:
    """List the segments, those that moved first."""
    head = [
        "segment", "value", "photos", "share before", "share now", "mean P(AI) before",
        "mean P(AI) now", "score distance", "p, corrected", "part of the change",
    ]  # fmt: skip
    rows = [_segment(each) for each in report.segments]
    moved = {index for index, each in enumerate(report.segments) if each.moved}
    return el(
        "section",
        el("h2", "Segments"),
        _table(head, rows, numbers=set(range(2, 10)), marked=moved),
    )


def feature_space(report: DriftReportDetail) -> Element | None:
    """Draw a sample of photos where the model sees them; None without embeddings."""
    chart, cluster = report.charts.embedding, report.cluster
    if chart is None:
        return None
    text = None
    if cluster is not None:
        shares = ", ".join(f"{share:.0%} {name}" for name, share in cluster.label_shares.items())
        text = (
            f"The new cluster holds {cluster.current_share:.1%} of the window's photos and held"
            f" {cluster.reference_share:.1%} of the reference. Mean P(AI-generated)"
            f" {cluster.mean_probability:.2f}; verdicts: {shares}."
        )
    return el(
        "section",
        el("h2", "Feature space"),
        el("p", text) if text else None,
        _legend(("before", "reference"), ("now", "this window"), ("new", "new cluster")),
        scatter(chart),
    )


def examples(
    report: DriftReportDetail, previews: Mapping[UUID, str], ui_url: str | None
) -> Element | None:
    """Show the example photos, linked to the web page or else to the API; None without any."""
    if not report.examples:
        return None
    items = []
    for image_id in report.examples:
        uri = previews.get(image_id)
        link = photo_link(image_id, f"{ui_url}/") if ui_url else image_path(image_id)
        picture = el("img", src=uri, alt=f"photo {image_id}") if uri else None
        items.append(el("li", el("a", picture, str(image_id), href=link)))
    return el(
        "section",
        el("h2", "Example photos"),
        el("ul", *items, class_="photos"),
        None if ui_url else _hint("Links lead to the API: detector images get ID shows the same."),
    )


def _statistic(each: Statistic) -> Sequence[Child]:
    return (
        statistic_words(each.name),
        subject_words(each.subject),
        f"{each.value:.4f}",
        f"{each.threshold:g}",
        _p_value(each.p_value),
        _p_value(each.p_adjusted),
        f"{each.n_reference:,}",
        f"{each.n_current:,}",
        "drifted" if each.drifted else "",
    )


def _segment(each: SegmentShift) -> Sequence[Child]:
    return (
        DIMENSION_WORDS[each.dimension],
        each.value,
        f"{each.photos:,}",
        f"{each.reference_share:.1%}",
        f"{each.current_share:.1%}",
        _decimal(each.reference_mean_probability),
        _decimal(each.current_mean_probability),
        _decimal(each.score_distance),
        _p_value(each.p_adjusted),
        f"{each.contribution:.0%}",
    )


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[Child]],
    numbers: Collection[int],
    marked: Collection[int] = (),
) -> Element:
    def kind(column: int) -> str | None:
        return _NUMBER if column in numbers else None

    titles = (el("th", text, scope="col", class_=kind(at)) for at, text in enumerate(head))
    lines = [
        el(
            "tr",
            *(el("td", cell, class_=kind(column)) for column, cell in enumerate(row)),
            class_="moved" if index in marked else None,
        )
        for index, row in enumerate(rows)
    ]
    return el("table", el("thead", el("tr", *titles)), el("tbody", *lines))


def _legend(*series: tuple[str, str]) -> Element:
    parts: list[Child] = []
    for kind, name in series:
        parts += [el("span", class_=f"key {kind}"), name]
    return el("p", *parts, class_="hint")


def _hint(text: str) -> Element:
    return el("p", text, class_="hint")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _p_value(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _count(photos: int) -> str:
    return f"{photos:,} photos"
