import json
import re
from uuid import UUID, uuid4

from services.drift.report.events import event_subject
from shared.core.settings import REPOSITORY_ROOT
from tests.support.drift import report_body

EXAMPLE = "0199f3c2-9d10-7a21-8c44-6e0f7a2b5d13"


def shape(value):
    """The members of an object, as far down as there are any."""
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else ...


def test_the_documentation_shows_the_body_as_it_is_sent():
    text = (REPOSITORY_ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (block,) = (
        each
        for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
        if "drift.detected" in each
    )
    shown = json.loads(block)["data"]
    drifted = {**shown["statistics"][0], "drifted": True, "n_reference": 9, "n_current": 9}
    report = report_body(
        uuid4(),
        statistics=[drifted],
        **{
            name: shown[name]
            for name in (
                "model_version", "severity", "previous_severity", "cause", "window", "examples"
            )
        },
    )  # fmt: skip
    sent = event_subject(report, UUID(EXAMPLE))
    assert sent == {**shown, "estimated_accuracy": report.estimated.accuracy}
    assert shape(sent) == shape(shown)
