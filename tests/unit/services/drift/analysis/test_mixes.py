"""How far a mix moved, and what of the scores' distance goes with it."""

import pytest

from services.drift.analysis.mixes import mix_shift, mix_test
from shared.contracts.drift import Dimension
from shared.db.drift.segments import UNKNOWN
from tests.support.drift_cubes import counts, cube

FORMAT, CATEGORY = Dimension.FORMAT, Dimension.CATEGORY
# Shares of the bins of photos that score low, and of photos that score high.
LOW, HIGH = (0.7, 0.2, 0.1, 0.0), (0.0, 0.1, 0.2, 0.7)


def photos(number, shares=LOW):
    return counts([number * share for share in shares])


def shift(before, now, dimension=CATEGORY):
    return mix_shift(cube(dimension, before), cube(dimension, now), None, dimension)


def test_what_went_from_one_value_to_another_has_moved():
    found = shift({"a": photos(600), "b": photos(400)}, {"a": photos(100), "b": photos(100)})
    assert found.moved_share == pytest.approx(0.1)
    assert (found.grown, found.shrunk) == ("b", "a")


def test_a_mix_that_stays_has_moved_nowhere():
    found = shift({"a": photos(600), "b": photos(400)}, {"a": photos(60), "b": photos(40)})
    assert found.moved_share == pytest.approx(0.0, abs=1e-12)
    # Nor have the scores, and there is nothing to explain.
    assert found.explained is None


def test_a_mix_of_values_judged_as_before_explains_the_scores_entirely():
    before = {"a": photos(800), "b": photos(200, HIGH)}
    now = {"a": photos(400), "b": photos(600, HIGH)}
    assert shift(before, now).explained == pytest.approx(1.0)


def test_a_mix_that_stays_explains_nothing():
    before = {"a": photos(800), "b": photos(200)}
    now = {"a": photos(800), "b": photos(200, HIGH)}
    assert shift(before, now).explained == pytest.approx(0.0)


def test_explained_is_what_vanishes_when_the_reference_is_weighted():
    # 0.1 of the photos go from low to high by the mix, 0.1 more because "b" is judged otherwise.
    low, high = (1, 0, 0, 0), (0, 0, 0, 1)
    before = {"a": photos(800, low), "b": photos(200, high)}
    now = {"a": photos(600, low) + photos(100, high), "b": photos(300, high)}
    assert shift(before, now).explained == pytest.approx(0.5)


def test_a_value_that_the_reference_never_had_is_taken_as_it_is():
    before = {"a": photos(1000)}
    now = {"a": photos(500), "new": photos(500, HIGH)}
    assert shift(before, now).explained == pytest.approx(1.0)


def test_a_few_reference_photos_are_no_distribution():
    now = {"a": photos(500), "b": photos(500, HIGH)}
    assert shift({"a": photos(980), "b": photos(29)}, now).explained == pytest.approx(1.0)
    assert shift({"a": photos(980), "b": photos(31)}, now).explained < 0.1


def test_a_file_property_that_grew_far_brings_other_photos_but_a_category_does_not():
    # "b" was 10 % of the traffic and scored low; it is half of it now and scores high.
    before = {"a": photos(900), "b": photos(100)}
    now = {"a": photos(500), "b": photos(500, HIGH)}
    assert shift(before, now, FORMAT).explained == pytest.approx(1.0)
    assert shift(before, now, CATEGORY).explained == pytest.approx(0.0)


def test_a_file_property_that_hardly_grew_must_score_as_before():
    before = {"a": photos(500), "b": photos(500)}
    now = {"a": photos(460), "b": photos(540, HIGH)}
    assert shift(before, now, FORMAT).explained < 0.1


def test_photos_of_unknown_value_are_no_part_of_the_mix():
    before = {"a": photos(500), "b": photos(500)}
    now = {"a": photos(50), "b": photos(50), UNKNOWN: photos(900)}
    assert shift(before, now, FORMAT).moved_share == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("unknown_first", [True, False])
def test_a_mix_that_one_side_does_not_know_has_not_moved(unknown_first):
    sides = {UNKNOWN: photos(1000)}, {"a": photos(500), "b": photos(500)}
    before, now = sides if unknown_first else reversed(sides)
    found = shift(before, now, FORMAT)
    assert (found.moved_share, found.grown, found.shrunk) == (0.0, None, None)
    assert mix_test(cube(FORMAT, before), cube(FORMAT, now), None, FORMAT) is None


def test_a_moved_mix_is_significant_by_its_independent_photos_alone():
    def tested(independent):
        # Photos of one listing resemble each other.
        sides = [
            {"a": counts([a, 0, 0, 0], independent), "b": counts([1000 - a, 0, 0, 0], independent)}
            for a in (600, 400)
        ]
        before, now = (cube(FORMAT, side) for side in sides)
        return mix_test(before, now, None, FORMAT)

    many, few = tested(500), tested(10)
    assert many.value == few.value == pytest.approx(0.2)
    assert many.p_value < 1e-9
    assert few.p_value > 0.1
