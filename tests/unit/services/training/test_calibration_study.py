import numpy as np
import pytest

from services.training import calibration_study
from services.training.calibration_study import METHODS, compare


@pytest.fixture
def few_repeats(monkeypatch):
    monkeypatch.setattr(calibration_study, "_REPEATS", 2)


def test_a_shifted_network_needs_a_shift(few_repeats):
    """Logits that are two too high: temperature alone cannot mend that, the others can."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1500)
    logits = rng.normal(labels * 2 - 1.0, 1.0) + 2.0
    families = [f"source-{number}" for number in rng.integers(0, 30, 1500)]
    table = compare(labels, logits, families)
    assert set(table) == {f"{name}, {kind}" for name in METHODS for kind in ("photos", "sources")}
    for kind in ("photos", "sources"):
        assert table[f"Platt, {kind}"]["ece"] < 0.05
        assert table[f"isotonic, {kind}"]["ece"] < 0.06
        assert table[f"temperature, {kind}"]["ece"] > 0.15
    assert all(0 < value < 1 for numbers in table.values() for value in numbers.values())
