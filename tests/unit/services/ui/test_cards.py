from datetime import UTC, datetime
from uuid import uuid4

import pytest

from services.ui.cards import Card, banner, counts, grid
from shared.contracts.states import Basis, ImageStatus, JobStatus, Label
from shared.contracts.wire.jobs import (
    ImageError,
    Job,
    JobImage,
    JobLinks,
    ListingVerdict,
    Verdict,
)

EVIL = '"><script>alert(1)</script>'


def verdict(label: Label, probability: float = 0.5, version: str = "1") -> Verdict:
    return Verdict(label=label, probability=probability, confidence=0.5, model_version=version)


def image(name: str, **facts: object) -> JobImage:
    values = {"status": ImageStatus.SUCCEEDED, **facts}
    return JobImage(id=uuid4(), filename=name, **values)  # type: ignore[arg-type]


def job(images: list[JobImage], listing: ListingVerdict | None, listing_id: str | None) -> Job:
    return Job(
        id=uuid4(),
        status=JobStatus.PARTIAL,
        created_at=datetime.now(UTC),
        listing_id=listing_id,
        images=images,
        verdict=listing,
        links=JobLinks(self="/", wait="/"),
    )


@pytest.mark.parametrize(
    ("label", "text", "tone"),
    [
        (Label.REAL, "✓ Real", "apd-real"),
        (Label.AI_GENERATED, "! AI-generated", "apd-generated"),
        (Label.UNCERTAIN, "? Uncertain", "apd-uncertain"),
    ],
)
def test_a_verdict_is_words_a_sign_and_a_colour(label: Label, text: str, tone: str) -> None:
    shown = grid([Card("a.jpg", verdict=verdict(label, 0.25))])
    assert f'<span class="apd-badge {tone}">{text}</span>' in shown
    assert 'style="width:25.0%"' in shown


def test_a_card_tells_when_the_file_decided() -> None:
    stated = verdict(Label.AI_GENERATED, 1.0).model_copy(
        update={"basis": Basis.STATEMENT, "pixels_probability": 0.3}
    )
    shown = grid([Card("a.jpg", verdict=stated)])
    assert "Decided by what the file states" in shown
    assert "The pixels alone gave 30 %." in shown


def test_everything_from_outside_is_escaped() -> None:
    cards = [
        Card(EVIL, verdict=verdict(Label.REAL, version=EVIL)),
        Card("b", error_code=EVIL, error_detail=EVIL),
    ]
    reason = ListingVerdict(label=Label.REAL, probability=0.1, reason=EVIL, image_id=uuid4())
    shown = grid(cards) + banner(job([image(EVIL)], reason, EVIL))
    assert "<script>" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_the_banner_counts_every_photo_once() -> None:
    error = ImageError(code="truncated_image", detail="cut off")
    images = [
        image("a", verdict=verdict(Label.REAL)),
        image("b", verdict=verdict(Label.REAL)),
        image("c", verdict=verdict(Label.AI_GENERATED)),
        image("d", status=ImageStatus.FAILED, error=error),
        image("e", status=ImageStatus.QUEUED),
    ]
    assert counts(job(images, None, None)) == "1 AI-generated, 2 Real, 1 queued, 1 without verdict"
    assert "No verdict" in banner(job(images, None, None))
