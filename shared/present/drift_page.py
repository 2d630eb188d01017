"""A drift report as one HTML document that needs nothing else: no script, no outside resource."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID
from xml.etree.ElementTree import Element

from shared.contracts.drift import Severity
from shared.contracts.wire.drift import DriftReportDetail
from shared.present.drift_sections import (
    accuracy,
    cause,
    examples,
    feature_space,
    mixes,
    scores,
    segments,
    statistics,
)
from shared.present.drift_words import SEVERITY_WORDS, reference_words
from shared.present.markup import el, page

# Allows what the page has: its own style and previews. Sent with it, and stated in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:70rem;
 margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
h3{font-size:1rem;margin:1rem 0 .25rem}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #dde2e9;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
tr.moved{background:#fdf0e3}
.badge{display:inline-block;padding:.1rem .7rem;border-radius:1rem;color:#fff;font-weight:600}
.none{background:#3c7d4d}.warning{background:#b26a00}.critical{background:#b3261e}
.headline{font-size:1.15rem;font-weight:600}
.hint{color:#5b6675}
svg{width:100%;max-width:44rem;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:#5b6675}
.grid{stroke:#e6eaf0}
rect.before,.key.before{fill:#b8c4d6;background:#b8c4d6}
rect.now-bar,.key.now{fill:#2f6fb3;background:#2f6fb3}
.key.new{background:#c4391c}
polyline.now{fill:none;stroke:#2f6fb3;stroke-width:2}
circle.before{fill:#b8c4d6}circle.now-dot{fill:#2f6fb3;fill-opacity:.7}circle.new{fill:#c4391c}
.key{display:inline-block;width:.9rem;height:.9rem;margin:0 .3rem 0 1rem;vertical-align:-.1rem}
.photos{display:flex;flex-wrap:wrap;gap:.8rem;padding:0;list-style:none}
.photos li{width:10.5rem;font-size:.75rem;overflow-wrap:anywhere}
.photos img{width:100%;height:8rem;object-fit:contain;background:#f2f4f7;display:block}
"""


def report_page(
    report: DriftReportDetail,
    scope: str,
    previews: Mapping[UUID, str] | None = None,
    ui_url: str | None = None,
) -> bytes:
    """Return the report as HTML in UTF-8.

    `scope` says whose photos it is about; `previews` are data URIs of example photos;
    `ui_url` is where the web page shows one photo, without it they link to the API.
    """
    title = f"Drift report: model {report.model_version}"
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", title),
        el("style", _STYLE),
    )
    body = el(
        "body",
        el("h1", title),
        _facts(report, scope),
        cause(report),
        accuracy(report),
        scores(report),
        statistics(report),
        mixes(report),
        segments(report),
        feature_space(report),
        examples(report, previews or {}, ui_url),
        _notes(report),
    )
    return page(el("html", head, body, lang="en"))


def _facts(report: DriftReportDetail, scope: str) -> Element:
    window = report.window
    words = SEVERITY_WORDS[report.severity]
    badge = el("span", words, class_=f"badge {report.severity.value}")
    rows = [
        ("Window", f"{_moment(window.start)} to {_moment(window.end)}"),
        (
            "Photos",
            (
                f"{window.photos:,} judged anew, {window.independent:,} of them independent"
                f" (a job counts once); {window.reused:,} repeated verdicts left out"
            ),
        ),
        ("Compared with", reference_words(report.reference, report.model_version)),
        ("Scope", scope),
        ("Report", f"{report.id}, made {_moment(report.created_at)}"),
    ]
    return el(
        "section",
        el("p", badge, _step(report)),
        el(
            "table", *(el("tr", el("th", name, scope="row"), el("td", text)) for name, text in rows)
        ),
    )


def _step(report: DriftReportDetail) -> str:
    before, alone = report.previous_severity, report.window_severity
    text = f" before: {SEVERITY_WORDS[before]}"
    if alone is not report.severity:
        text += f"; this window alone: {SEVERITY_WORDS[alone]}"
        if report.severity is Severity.NONE:
            text += " (it takes several in a row to alert)"
    return text


def _notes(report: DriftReportDetail) -> Element | None:
    if not report.notes:
        return None
    return el("section", el("h2", "Notes"), el("ul", *(el("li", note) for note in report.notes)))


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
