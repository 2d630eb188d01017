"""Each verdict names what it rests on, and keeps what the pixels gave."""

from uuid import uuid4

import pytest

from services.worker.provenance.findings import Finding, Kind, Says, Strength
from services.worker.provenance.verdict import Provenance
from shared.contracts.states import Basis, Label
from shared.db.jobs.results import Judged
from shared.db.models import Verdict
from shared.present.basis import rests_on
from shared.present.jobs import verdict_body

STATED = Finding(Kind.AIGC_LABEL, Says.AI_GENERATED, Strength.DECLARED, "China's label is 1.")
NAMED = Finding(Kind.SOFTWARE, Says.AI_GENERATED, Strength.DECLARED, "Software names a generator.")


@pytest.mark.parametrize(
    ("finding", "basis", "label", "probability"),
    [
        (STATED, Basis.STATEMENT, Label.AI_GENERATED, 1.0),
        (NAMED, Basis.PIXELS, Label.REAL, 0.04),
    ],
)
def test_a_verdict_names_its_basis_and_keeps_what_the_pixels_gave(
    finding, basis, label, probability
):
    provenance = Provenance()
    judged = provenance.conclude(Judged(uuid4(), "m", Label.REAL, 0.04, 0.96, -3.0), [finding])
    provenance.close()
    stored = Verdict(
        image_id=judged.image_id,
        model_version="m",
        label=judged.label.value,
        probability=judged.probability,
        confidence=judged.confidence,
        logit=judged.logit,
        evidence=judged.evidence,
        judged_with={},
    )

    body = verdict_body(stored)

    assert (body.label, body.probability) == (label, probability)
    assert (body.basis, body.pixels_probability) == (basis, 0.04)


def test_without_evidence_the_pixels_decided():
    assert rests_on([], 0.3) == (Basis.PIXELS, 0.3)
