import pytest

from services.ui.words import WORDS, percent, what_to_do
from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import Label


@pytest.mark.parametrize(
    ("probability", "text"),
    [
        (0.0, "< 0.1 %"),
        (0.0213, "2.1 %"),
        (0.5, "50 %"),
        (0.8849, "88 %"),
        (0.9731, "97.3 %"),
        (0.99996, "> 99.9 %"),
        (1.0, "> 99.9 %"),
    ],
)
def test_probabilities_never_claim_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_every_label_has_words_and_every_error_advice() -> None:
    assert set(WORDS) == set(Label)
    assert {what_to_do(code) for code in ImageErrorCode} == set(IMAGE_ERROR_HELP.values())
    assert what_to_do("an_error_of_next_year") is None
