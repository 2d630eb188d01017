"""The correction for many tests, over the tests of a scope."""

import numpy as np
import pytest

from services.drift.analysis.comparison import Measurement
from services.drift.analysis.window import _adjusted
from services.drift.statistics import registry
from services.drift.statistics.correction import benjamini_hochberg
from services.drift.statistics.outcome import Outcome

VERDICTS = (registry.PSI, registry.KS, registry.MEAN_PROBABILITY, registry.CHI2_LABELS)
FILES = (registry.TOTAL_VARIATION,) * 2
EMBEDDINGS = (registry.MMD, registry.NEW_CLUSTER)


def adjusted(verdicts, files, embeddings):
    p_values = [*verdicts, *files, *embeddings]
    entries = [*VERDICTS, *FILES, *EMBEDDINGS]
    found = _adjusted(
        [
            Measurement(entry, entry.subject, Outcome(1.0, p), 500, 500)
            for entry, p in zip(entries, p_values, strict=True)
        ]
    )
    return found[:4], found[4:6], found[6:]


def test_a_change_of_files_or_scores_makes_no_cluster_more_credible():
    *_, alone = adjusted([0.9] * 4, [0.9] * 2, [0.5, 0.01])
    *_, beside = adjusted([1e-9] * 4, [1e-9] * 2, [0.5, 0.01])
    assert beside == pytest.approx(alone)
    # One of eight tests, and the smaller of two.
    assert alone[1] == pytest.approx(0.01 * 8)


def test_tests_of_verdicts_that_agree_are_stronger_than_one_alone():
    agreeing, *_ = adjusted([0.004] * 4, [0.9] * 2, [0.9] * 2)
    alone, *_ = adjusted([0.004, 0.9, 0.9, 0.9], [0.9] * 2, [0.9] * 2)
    assert agreeing == pytest.approx([0.008] * 4)
    assert alone[0] == pytest.approx(0.032)


def test_where_nothing_drifted_any_finding_is_as_rare_as_alpha():
    rng = np.random.default_rng(1)
    any_found = [
        min(map(np.min, adjusted(*np.split(rng.uniform(size=8), [4, 6])))) < 0.05
        for _ in range(3000)
    ]
    assert 0.03 <= np.mean(any_found) <= 0.06


def test_each_kind_is_corrected_by_benjamini_and_hochberg():
    p = [0.001, 0.01, 0.02, 0.03]
    verdicts, *_ = adjusted(p, [0.5] * 2, [0.5] * 2)
    assert verdicts == pytest.approx(benjamini_hochberg(p) * 2)
