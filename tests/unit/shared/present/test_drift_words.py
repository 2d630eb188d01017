from datetime import UTC, datetime
from uuid import UUID

import pytest

from shared.contracts.drift import ReferenceFacts
from shared.present.drift_words import reference_words

WINDOW = {
    "start": datetime(2026, 11, 15, tzinfo=UTC),
    "end": datetime(2026, 11, 22, 8, 30, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"source": "production", **WINDOW},
            "stored verdicts of 2026-11-15 00:00 to 2026-11-22 08:30 UTC: 1,372 photos",
        ),
        (
            {"source": "production", **WINDOW, "chosen": True},
            (
                "stored verdicts of 2026-11-15 00:00 to 2026-11-22 08:30 UTC: 1,372 photos,"
                " chosen by the operator"
            ),
        ),
        (
            {"source": "evaluation", "chosen": True},
            "evaluation of 0.3.1, 1,372 photos (effective size 677)",
        ),
    ],
)
def test_a_report_says_what_it_compared_with(facts, words):
    reference = ReferenceFacts(id=UUID(int=1), photos=1372, independent=677, **facts)
    assert reference_words(reference, "0.3.1") == words
