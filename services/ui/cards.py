"""Job results as HTML. Pure: values in, markup out; every value is escaped here and only here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from uuid import UUID

from services.ui.words import WORDS, percent, statement_words, what_to_do
from shared.contracts.page_links import photo_link
from shared.contracts.states import Label
from shared.contracts.wire.jobs import Job, ListingVerdict, Review, Verdict

_STYLE = """<style>
.apd-grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:1rem}
.apd-card{border:1px solid rgba(128,128,128,.28);border-radius:.6rem;overflow:hidden;
 display:flex;flex-direction:column;background:rgba(128,128,128,.04)}
.apd-view{height:170px;display:flex;align-items:center;justify-content:center;
 background:rgba(128,128,128,.10);font-size:.85rem;opacity:.95}
.apd-view img{max-width:100%;max-height:170px;object-fit:contain}
.apd-body{padding:.75rem .85rem .85rem;display:flex;flex-direction:column;gap:.5rem;flex:1}
.apd-name{font-size:.85rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.apd-badge{align-self:flex-start;color:#fff;border-radius:.4rem;padding:.16rem .6rem;
 font-size:.9rem;font-weight:600;line-height:1.4}
.apd-real{background:#1b6e43}.apd-generated{background:#b3261e}.apd-uncertain{background:#8a5a00}
.apd-none{background:#5c6470}
.apd-bar{height:.5rem;border-radius:.25rem;background:rgba(128,128,128,.25);overflow:hidden}
.apd-bar div{height:100%;border-radius:.25rem}
.apd-row{display:flex;justify-content:space-between;font-size:.82rem;gap:.5rem}
.apd-small{font-size:.78rem;opacity:.75;line-height:1.35}
.apd-text{font-size:.9rem;line-height:1.4}
.apd-foot{margin-top:auto}
.apd-banner{border:1px solid rgba(128,128,128,.28);border-left:.45rem solid;border-radius:.6rem;
 padding:.9rem 1.1rem;margin-bottom:1rem;display:flex;flex-direction:column;gap:.35rem}
.apd-banner h3{margin:0;padding:0;font-size:1.25rem}
.apd-edge-real{border-left-color:#1b6e43}.apd-edge-generated{border-left-color:#b3261e}
.apd-edge-uncertain{border-left-color:#8a5a00}.apd-edge-none{border-left-color:#5c6470}
</style>"""


@dataclass(frozen=True, slots=True)
class Card:
    """One photo: `preview` is a data URI; exactly one of verdict, error or neither (waiting)."""

    name: str
    preview: str | None = None
    verdict: Verdict | None = None
    error_detail: str | None = None
    error_code: str | None = None
    image_id: UUID | None = None
    review: Review | None = None


def grid(cards: Sequence[Card]) -> str:
    """Return the photos as a grid of cards; without any preview, no room is kept for them."""
    views = any(card.preview for card in cards)
    shown = "".join(_card(card, with_view=views) for card in cards)
    return f'{_STYLE}<div class="apd-grid">{shown}</div>'


def _card(card: Card, *, with_view: bool) -> str:
    name = escape(card.name)
    return (
        f'<div class="apd-card">{_view(card) if with_view else ""}<div class="apd-body">'
        f'<div class="apd-name" title="{name}">{name}</div>{_finding(card)}'
        f"{_reviewed(card.review)}{_more(card)}</div></div>"
    )


def _more(card: Card) -> str:
    # A tab of its own: the session, and with it this page's result, stays as it is.
    if card.image_id is None or card.verdict is None:
        return ""
    link = escape(photo_link(card.image_id))
    return f'<a class="apd-small" href="{link}" target="_blank">Why, and review</a>'


def _reviewed(review: Review | None) -> str:
    if review is None:
        return ""
    label = WORDS[review.label].name
    return f'<div class="apd-text">Reviewed by {escape(review.reviewer)}: {label}</div>'


def _view(card: Card) -> str:
    inner = (
        f'<img src="{escape(card.preview)}" alt="">' if card.preview else "<span>No preview</span>"
    )
    return f'<div class="apd-view">{inner}</div>'


def _finding(card: Card) -> str:
    if card.verdict is not None:
        return _judged(card.verdict)
    if card.error_detail is not None:
        advice = what_to_do(card.error_code or "") or card.error_detail
        return (
            '<span class="apd-badge apd-none">✕ No verdict</span>'
            f'<div class="apd-text">{escape(advice)}</div>'
            f'<div class="apd-small apd-foot">{escape(card.error_detail)}</div>'
        )
    return '<span class="apd-badge apd-none">… Waiting for its turn</span>'


def _judged(verdict: Verdict) -> str:
    words = WORDS[verdict.label]
    return (
        f'<span class="apd-badge apd-{words.tone}">{words.sign} {words.name}</span>'
        '<div class="apd-row"><span>Probability of AI</span>'
        f"<strong>{escape(percent(verdict.probability))}</strong></div>"
        f'<div class="apd-bar"><div class="apd-{words.tone}"'
        f' style="width:{verdict.probability * 100:.1f}%"></div></div>'
        f'<div class="apd-small">{escape(statement_words(verdict) or words.meaning)}</div>'
        f'<div class="apd-small apd-foot">Model {escape(verdict.model_version)}</div>'
    )


def banner(job: Job) -> str:
    """Return the verdict of all photos taken together, with the counts."""
    verdict = job.verdict
    listing = f"Listing {job.listing_id}" if job.listing_id else "All photos together"
    body = f"<div>{escape(counts(job))}</div>{_reason(verdict)}"
    return framed(verdict.label if verdict else None, listing, body)


def framed(label: Label | None, subject: str, body: str) -> str:
    """Return a frame in the colour of `label` that begins with it; `body` is markup."""
    words = WORDS[label] if label else None
    tone, headline = (words.tone, f"{words.sign} {words.name}") if words else ("none", "No verdict")
    return (
        f'{_STYLE}<div class="apd-banner apd-edge-{tone}">'
        f'<div class="apd-small">{escape(subject)}</div><h3>{escape(headline)}</h3>{body}</div>'
    )


def _reason(verdict: ListingVerdict | None) -> str:
    return f'<div class="apd-small">{escape(verdict.reason)}</div>' if verdict else ""


def counts(job: Job) -> str:
    """Return how many photos got which verdict, such as `2 real, 1 failed`."""
    found = Counter(
        image.verdict.label.value
        if image.verdict
        else "without verdict"
        if image.error
        else image.status.value
        for image in job.images
    )
    order = [Label.AI_GENERATED.value, Label.UNCERTAIN.value, Label.REAL.value]
    names = {label.value: words.name for label, words in WORDS.items()}
    keys = order + sorted(set(found) - set(order))
    return ", ".join(f"{found[key]} {names.get(key, key)}" for key in keys if found[key])
