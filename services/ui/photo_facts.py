"""One photo's verdict, evidence and reviews as HTML. Pure, and every value is escaped."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from services.ui.cards import framed
from services.ui.photo_result import Pictures
from services.ui.words import (
    STRENGTHS,
    WORDS,
    kind_words,
    percent,
    statement_words,
    what_to_do,
)
from shared.contracts.states import Label
from shared.contracts.wire.images import ImageDetail, JudgedVerdict
from shared.contracts.wire.jobs import Review, Verdict

_STYLE = """<style>
.apd-pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:1rem}
.apd-pair figure{margin:0}
.apd-pair img{width:100%;max-height:460px;object-fit:contain;border-radius:.5rem;
 background:rgba(128,128,128,.10)}
.apd-scale{position:relative;height:1.1rem;border-radius:.3rem;overflow:hidden;display:flex;
 max-width:34rem}
.apd-scale div{height:100%}
.apd-scale i{position:absolute;top:0;bottom:0;width:3px;background:currentColor;
 outline:1px solid #fff}
.apd-facts{border-collapse:collapse;font-size:.9rem}
.apd-facts td{padding:.25rem .9rem .25rem 0;vertical-align:top;border:none}
.apd-facts td:first-child{opacity:.75;white-space:nowrap}
.apd-list{margin:0;padding-left:1.1rem;font-size:.9rem;line-height:1.45}
</style>"""


def banner(image: ImageDetail) -> str:
    """Return what counts for the photo, its scale, and the style of all that is below it."""
    finding = _scale(image.verdict) if image.verdict else _why_none(image)
    return _STYLE + framed(image.label, image.filename, _reviewed(image.review) + finding)


def _reviewed(review: Review | None) -> str:
    if review is None:
        return ""
    model = f" The model said: {WORDS[review.model_label].name}." if review.model_label else ""
    return f"<div>Reviewed by {escape(review.reviewer)}.{model}</div>"


def _why_none(image: ImageDetail) -> str:
    if image.error is None:
        return f"<div>The photo is {escape(image.status.value)}.</div>"
    advice = what_to_do(image.error.code.value)
    return "".join(f"<div>{escape(text)}</div>" for text in (advice, image.error.detail) if text)


def _scale(verdict: Verdict) -> str:
    """Return the probability as a mark on the three ranges of labels, or the statement's words."""
    stated = statement_words(verdict)
    if stated:
        return f"<div>{escape(stated)}</div>"
    shown = escape(percent(verdict.probability))
    bounds = _bounds(verdict)
    if bounds is None:
        return f"<div>Probability of AI: <strong>{shown}</strong>.</div>"
    low, high = bounds
    parts = ((Label.REAL, low), (Label.UNCERTAIN, high - low), (Label.AI_GENERATED, 1 - high))
    ranges = "".join(
        f'<div class="apd-{WORDS[label].tone}" style="width:{share * 100:.2f}%"></div>'
        for label, share in parts
    )
    mark = f'<i style="left:calc({verdict.probability * 100:.2f}% - 1px)"></i>'
    return (
        f"<div>Probability of AI: <strong>{shown}</strong>. {_thresholds(verdict, low, high)}</div>"
        f'<div class="apd-scale">{ranges}{mark}</div>'
    )


def _bounds(verdict: Verdict) -> tuple[float, float] | None:
    found = verdict.judged_with.get("thresholds")
    if not isinstance(found, Mapping):
        return None
    low, high = found.get("real_below"), found.get("ai_above")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return (low, high) if 0 <= low <= high <= 1 else None


def _thresholds(verdict: Verdict, low: float, high: float) -> str:
    budget = verdict.judged_with.get("false_accusation_budget")
    chosen = (
        f" The upper one was chosen to accuse at most {budget:.1%} of real photos."
        if isinstance(budget, int | float)
        else ""
    )
    return escape(
        f"Real below {percent(low)}, AI-generated above {percent(high)}, uncertain between.{chosen}"
    )


def pictures(shown: Pictures) -> str:
    """Return the photo and its heatmap side by side."""
    photo = _figure(shown.photo, "The photo", "The photo cannot be shown here.")
    absent = f"No heatmap: {shown.heatmap_absent or 'there is no verdict'}."
    caption = (
        "Where the model looked: orange pulled to AI-generated, blue to real. It shows no"
        " manipulated parts."
    )
    return f'<div class="apd-pair">{photo}{_figure(shown.heatmap, caption, absent)}</div>'


def _figure(uri: str | None, caption: str, absent: str) -> str:
    if uri is None:
        return f'<figure><figcaption class="apd-small">{escape(absent)}</figcaption></figure>'
    return (
        f'<figure><img src="{escape(uri)}" alt="{escape(caption)}">'
        f'<figcaption class="apd-small">{escape(caption)}</figcaption></figure>'
    )


def evidence(verdict: Verdict) -> str:
    """Return what stands beside the pixels: metadata, and the look at a re-encoded copy."""
    if not verdict.evidence:
        return (
            '<div class="apd-text">The file says nothing of its origin: the pixels alone'
            " decided.</div>"
        )
    items = "".join(f"<li>{_entry(entry)}</li>" for entry in verdict.evidence)
    return f'<ul class="apd-list">{items}</ul>'


def _entry(entry: Mapping[str, Any]) -> str:
    kind, detail = str(entry.get("kind", "")), entry.get("detail")
    text = str(detail) if detail else _told(entry)
    strength = STRENGTHS.get(str(entry.get("strength", "")))
    behind = f' <span class="apd-small">({escape(strength)})</span>' if strength else ""
    return f"<strong>{escape(kind_words(kind))}</strong>: {escape(text)}{behind}"


def _told(entry: Mapping[str, Any]) -> str:
    """Return the words for an entry that is numbers."""
    try:
        if entry.get("kind") == "networks":
            return _looked_at(entry)
        after = WORDS[Label(entry["label_after"])].name
        look = f"saved again as JPEG of quality {entry['jpeg_quality']} the photo is {after}"
        return f"{look} ({percent(float(entry['probability_after']))})."
    except (KeyError, ValueError, TypeError):
        return "no words for this yet; the downloaded evidence has it."


def _looked_at(entry: Mapping[str, Any]) -> str:
    view = f"the whole photo, reduced, gave {float(entry['view_logit']):+.1f}"
    if entry["ended_at"] == "view":
        return f"{view}, so clear that details at full size could not have changed the verdict."
    tiles = float(entry["tiles_logit"])
    return f"{view}, details at full size {tiles:+.1f}; above 0 pulls to AI-generated."


def facts(image: ImageDetail) -> str:
    """Return what identifies the photo and its verdict in an appeal."""
    size = f"{image.width} x {image.height} px, " if image.width and image.height else ""
    rows = [
        ("Photo", str(image.id)),
        ("Job", str(image.job_id)),
        ("Listing", image.listing_id),
        ("Category", image.category),
        ("Fetched from", image.source_url),
        ("File", f"{size}{image.size:,} bytes, {image.content_type or 'unknown type'}"),
        ("SHA-256", image.sha256),
        ("Received", f"{image.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        *((f"Model {each.model_version}", _judged(each)) for each in image.verdicts),
    ]
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows if value
    )
    return f'<table class="apd-facts">{cells}</table>'


def _judged(verdict: JudgedVerdict) -> str:
    label, shown = WORDS[verdict.label].name, percent(verdict.probability)
    return f"{label}, {shown}, on {verdict.created_at:%Y-%m-%d %H:%M:%S} UTC"


def reviews(found: Sequence[Review]) -> str:
    """Return what people decided, the newest first."""
    items = "".join(
        f"<li><strong>{WORDS[Label(each.label)].name}</strong>, {escape(each.reviewer)},"
        f" {each.created_at:%Y-%m-%d %H:%M} UTC: {escape(each.reason)}</li>"
        for each in found
    )
    return f'<ul class="apd-list">{items}</ul>'
