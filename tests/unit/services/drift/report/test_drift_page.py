"""docs/drift.md says what the code does."""

import re

from services.drift.settings import DriftSettings
from services.drift.statistics.registry import REGISTRY
from shared.core.settings import REPOSITORY_ROOT

PAGE = (REPOSITORY_ROOT / "docs" / "drift.md").read_text(encoding="utf-8")


def test_the_thresholds_are_the_registrys():
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([0-9.]+) \|$", PAGE, re.MULTILINE)
    assert {name: float(value) for name, value in rows} == {
        name: entry.threshold for name, entry in REGISTRY.items()
    }


def test_the_defaults_are_the_settings():
    fields = DriftSettings.model_fields
    assert f"holds {fields['drift_window_photos'].default} photos" in PAGE
    assert f"holds {fields['drift_reference_photos'].default} photos" in PAGE
    assert f"alpha {fields['drift_alpha'].default}" in PAGE
