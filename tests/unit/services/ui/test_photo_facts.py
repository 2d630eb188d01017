from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from services.ui import photo_facts
from services.ui.photo_result import Pictures
from shared.contracts.errors import ImageErrorCode
from shared.contracts.states import ImageStatus, Label
from shared.contracts.wire.images import ImageDetail, ImageLinks, JudgedVerdict
from shared.contracts.wire.jobs import ImageError, Review

EVIL = '"><script>alert(1)</script>'
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
THRESHOLDS = {"thresholds": {"real_below": 0.2, "ai_above": 0.75}, "false_accusation_budget": 0.01}


def verdict(**facts: Any) -> JudgedVerdict:
    values = {
        "label": Label.UNCERTAIN,
        "probability": 0.5,
        "confidence": 0.5,
        "model_version": "0.3.1",
        "judged_with": THRESHOLDS,
        "created_at": NOW,
    }
    return JudgedVerdict(**{**values, **facts})


def review(**facts: Any) -> Review:
    values = {
        "id": uuid4(),
        "label": Label.REAL,
        "reason": "The original file.",
        "reviewer": "anna",
        "created_at": NOW,
        "model_label": Label.AI_GENERATED,
        "overturns_verdict": True,
        "changed_label": True,
    }
    return Review(**{**values, **facts})


def image(judged: JudgedVerdict | None, **facts: Any) -> ImageDetail:
    values = {
        "id": uuid4(),
        "job_id": uuid4(),
        "filename": "a.jpg",
        "status": ImageStatus.SUCCEEDED,
        "size": 1234,
        "created_at": NOW,
        "label": judged.label if judged else None,
        "verdict": judged,
        "verdicts": [judged] if judged else [],
        "links": ImageLinks(self="/", job="/", feedback="/"),
    }
    return ImageDetail(**{**values, **facts})


def test_the_scale_shows_the_three_ranges_and_where_the_photo_stands() -> None:
    shown = photo_facts.banner(image(verdict()))
    assert "? Uncertain" in shown
    assert "Real below 20 %, AI-generated above 75 %, uncertain between." in shown
    assert "accuse at most 1.0% of real photos" in shown
    widths = [
        f'<div class="apd-{tone}" style="width:{width}%"></div>'
        for tone, width in (("real", "20.00"), ("uncertain", "55.00"), ("generated", "25.00"))
    ]
    assert "".join(widths) in shown
    assert "left:calc(50.00% - 1px)" in shown


def test_a_statement_that_decided_stands_before_what_the_pixels_gave() -> None:
    judged = verdict(
        label=Label.AI_GENERATED, probability=1.0, basis="statement", pixels_probability=0.3
    )
    shown = photo_facts.banner(image(judged))
    assert "Decided by what the file states" in shown
    assert "The pixels alone gave 30 %." in shown
    assert "Probability of AI" not in shown


@pytest.mark.parametrize(
    "judged_with", [{}, {"thresholds": {}}, {"thresholds": {"real_below": 2, "ai_above": "x"}}]
)
def test_a_verdict_without_thresholds_has_no_scale(judged_with: dict[str, Any]) -> None:
    shown = photo_facts.banner(image(verdict(judged_with=judged_with)))
    assert "Probability of AI: <strong>50 %</strong>" in shown
    assert 'class="apd-scale"' not in shown


def test_a_review_counts_and_the_models_word_stays() -> None:
    judged = verdict(label=Label.AI_GENERATED)
    shown = photo_facts.banner(image(judged, label=Label.REAL, review=review()))
    assert "✓ Real" in shown
    assert "Reviewed by anna. The model said: AI-generated." in shown


def test_a_failed_photo_says_what_to_do() -> None:
    error = ImageError(code=ImageErrorCode.EMPTY_FILE, detail="a.jpg has 0 bytes")
    shown = photo_facts.banner(image(None, status=ImageStatus.FAILED, error=error))
    assert "No verdict" in shown
    assert "a.jpg has 0 bytes" in shown


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            {"kind": "c2pa", "strength": "signed", "detail": "An intact manifest."},
            (
                "<strong>C2PA manifest</strong>: An intact manifest."
                ' <span class="apd-small">(signed, but anybody may be the signer)</span>'
            ),
        ),
        (
            {
                "kind": "reencode",
                "jpeg_quality": 75,
                "label_after": "real",
                "probability_after": 0.12,
            },
            (
                "<strong>Second look</strong>: saved again as JPEG of quality 75 the photo is Real"
                " (12 %)."
            ),
        ),
        (
            {"kind": "networks", "ended_at": "view", "view_logit": -6.21, "tiles_logit": None},
            (
                "<strong>What was looked at</strong>: the whole photo, reduced, gave -6.2, so clear"
                " that details at full size could not have changed the verdict."
            ),
        ),
        (
            {"kind": "networks", "ended_at": "tiles", "view_logit": 1.04, "tiles_logit": 2.5},
            "the whole photo, reduced, gave +1.0, details at full size +2.5;",
        ),
        ({"kind": "networks", "ended_at": "tiles"}, "no words for this yet"),
        ({"kind": "next_years_kind"}, "<strong>Next years kind</strong>: no words for this yet"),
        ({"kind": EVIL, "detail": EVIL, "strength": EVIL}, "&lt;script&gt;"),
    ],
)
def test_evidence_is_told_in_words(entry: dict[str, Any], text: str) -> None:
    shown = photo_facts.evidence(verdict(evidence=[entry]))
    assert text in shown
    assert "<script" not in shown


def test_without_evidence_the_pixels_decided() -> None:
    assert "the pixels alone decided" in photo_facts.evidence(verdict())


def test_a_picture_that_is_missing_says_why() -> None:
    shown = photo_facts.pictures(Pictures("data:image/jpeg;base64,AA", None, "another model"))
    assert shown.count("<img") == 1
    assert "No heatmap: another model." in shown


def test_every_model_that_judged_is_named_and_everything_is_escaped() -> None:
    both = [verdict(model_version="0.2.0"), verdict(model_version=EVIL)]
    facts = photo_facts.facts(
        image(both[1], verdicts=both, listing_id=EVIL, category=EVIL, source_url=EVIL)
    )
    assert "Model 0.2.0" in facts
    assert "Uncertain, 50 %, on 2026-11-23 09:30:00 UTC" in facts
    shown = (
        facts
        + photo_facts.banner(image(both[1], filename=EVIL, review=review(reviewer=EVIL)))
        + photo_facts.reviews([review(reviewer=EVIL, reason=EVIL)])
        + photo_facts.pictures(Pictures(EVIL, EVIL, EVIL))
    )
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 10
