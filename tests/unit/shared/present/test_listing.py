from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.states import Basis, Label
from shared.present.listing import JudgedPhoto, listing_verdict


def photo(label, probability, filename="mug.jpg"):
    return JudgedPhoto(uuid4(), filename, label, probability)


def test_any_generated_photo_decides():
    photos = [
        photo(Label.REAL, 0.01),
        photo(Label.AI_GENERATED, 0.91),
        photo(Label.AI_GENERATED, 0.98, "lamp.jpg"),
        photo(Label.UNCERTAIN, 0.6),
    ]
    verdict = listing_verdict(photos, unjudged=0)
    assert (verdict.label, verdict.probability) == (Label.AI_GENERATED, 0.98)
    assert verdict.image_id == photos[2].image_id
    assert "2 of 4 judged photos AI-generated" in verdict.reason
    assert "'lamp.jpg' with probability 0.98" in verdict.reason


def test_the_listing_names_the_basis_of_the_photo_that_decided():
    stated = replace(photo(Label.AI_GENERATED, 1.0), basis=Basis.STATEMENT)
    verdict = listing_verdict([photo(Label.REAL, 0.01), stated], unjudged=0)
    assert verdict.basis is Basis.STATEMENT
    assert "'mug.jpg' by what its file states" in verdict.reason
    reviewed = listing_verdict([replace(stated, reviewed=True)], unjudged=0)
    assert reviewed.basis is None
    assert "by a reviewer's decision" in reviewed.reason


def test_else_any_uncertain_photo_decides():
    photos = [photo(Label.REAL, 0.01), photo(Label.UNCERTAIN, 0.6)]
    verdict = listing_verdict(photos, unjudged=1)
    assert verdict.label == Label.UNCERTAIN
    assert verdict.image_id == photos[1].image_id
    assert "1 of 2 judged photos uncertain" in verdict.reason
    assert "1 more could not be judged" in verdict.reason


def test_else_it_is_real_and_names_the_least_clear_photo():
    photos = [photo(Label.REAL, 0.01), photo(Label.REAL, 0.2)]
    verdict = listing_verdict(photos, unjudged=0)
    assert verdict.label == Label.REAL
    assert verdict.image_id == photos[1].image_id


def test_without_a_judged_photo_there_is_no_verdict():
    assert listing_verdict([], unjudged=3) is None


@given(
    st.lists(st.builds(photo, st.sampled_from(Label), st.floats(0, 1)), min_size=1, max_size=64),
    st.randoms(),
)
def test_the_verdict_is_the_gravest_label_in_any_order(photos, random):
    verdict = listing_verdict(photos, unjudged=0)
    labels = {each.label for each in photos}
    gravest = next(
        label for label in (Label.AI_GENERATED, Label.UNCERTAIN, Label.REAL) if label in labels
    )
    assert verdict.label == gravest
    assert verdict.probability == max(each.probability for each in photos)
    decided = next(each for each in photos if each.image_id == verdict.image_id)
    assert decided.label == gravest
    random.shuffle(photos)
    again = listing_verdict(photos, unjudged=0)
    assert (again.label, again.probability) == (verdict.label, verdict.probability)


@pytest.mark.parametrize("label", list(Label))
def test_every_label_has_a_reason_in_words(label):
    assert listing_verdict([photo(label, 0.5)], 0).reason.endswith(".")


def test_a_reviewers_decision_is_named_as_such():
    mine = JudgedPhoto(uuid4(), "a.jpg", Label.REAL, 0.0, reviewed=True)
    verdict = listing_verdict([mine], 0)

    assert verdict is not None
    assert (verdict.label, verdict.probability) == (Label.REAL, 0.0)
    assert "by a reviewer's decision" in verdict.reason
