"""Where a shift sits: each value's share, scores and part of the change."""

import pytest

from services.drift.analysis.segments import segment_shifts
from shared.contracts.drift import Dimension
from tests.support.drift_cubes import counts, cube

CATEGORY = Dimension.CATEGORY
LOW, HIGH = (0.7, 0.2, 0.1, 0.0), (0.0, 0.1, 0.2, 0.7)


def photos(number, shares=LOW, independent=None):
    return counts([number * share for share in shares], independent)


def found(before, now, **limits):
    sides = cube(CATEGORY, before), cube(CATEGORY, now)
    return segment_shifts(*sides, None, alpha=0.02, **limits)


def test_the_segment_that_moved_comes_first_and_makes_the_whole_change():
    steady = {name: photos(1000) for name in ("a", "b", "c")}
    first, *others = found({**steady, "d": photos(500)}, {**steady, "d": photos(500, HIGH)})
    assert (first.dimension, first.value, first.moved) == (CATEGORY, "d", True)
    assert first.contribution == pytest.approx(1.0)
    assert first.current_share == pytest.approx(1 / 7)
    assert first.score_distance == pytest.approx(0.8)
    assert first.reference_mean_probability == pytest.approx(0.2)
    assert first.current_mean_probability == pytest.approx(0.8)
    assert [(each.moved, each.contribution) for each in others] == [(False, 0.0)] * 3


def test_a_change_is_divided_among_the_segments_that_make_it():
    before = {"a": photos(300), "b": photos(100)}
    now = {"a": photos(300, HIGH), "b": photos(100, HIGH)}
    assert {each.value: each.contribution for each in found(before, now)} == pytest.approx(
        {"a": 0.75, "b": 0.25}
    )


def test_a_segment_that_only_grew_contributes_but_has_not_moved():
    before = {"a": photos(900), "b": photos(100, HIGH)}
    now = {"a": photos(500), "b": photos(500, HIGH)}
    grown = next(each for each in found(before, now) if each.value == "b")
    assert (grown.moved, grown.score_distance) == (False, 0.0)
    assert grown.contribution == 1.0


def test_without_a_change_of_the_mean_nothing_is_divided():
    now = {"a": photos(500, HIGH), "b": photos(500)}
    before = {"a": photos(500), "b": photos(500, HIGH)}
    assert [each.contribution for each in found(before, now)] == [0.0, 0.0]


def test_new_and_vanished_values_are_listed_without_a_test():
    before, now = {"a": photos(900), "old": photos(100)}, {"a": photos(900), "new": photos(100)}
    by_value = {each.value: each for each in found(before, now)}
    new, old = by_value["new"], by_value["old"]
    assert (new.reference_share, new.reference_mean_probability) == (0.0, None)
    assert (old.photos, old.current_share, old.current_mean_probability) == (0, 0.0, None)
    assert {new.score_distance, old.score_distance, new.p_adjusted, old.p_adjusted} == {None}
    assert not new.moved
    assert not old.moved


def test_few_independent_photos_tell_nothing_of_a_segments_scores():
    # 200 photos of 40 listings.
    before, now = {"a": photos(200, LOW, 40)}, {"a": photos(200, HIGH, 40)}
    assert [(each.score_distance, each.moved) for each in found(before, now)] == [(None, False)]
    before, now = {"a": photos(200, LOW, 60)}, {"a": photos(200, HIGH, 60)}
    assert found(before, now)[0].moved


def test_a_small_significant_distance_is_not_a_move():
    low, a_little_higher = (0.7, 0.2, 0.1, 0.0), (0.65, 0.2, 0.15, 0.0)
    (only,) = found({"a": photos(50_000, low)}, {"a": photos(50_000, a_little_higher)})
    assert only.p_adjusted < 1e-6
    assert not only.moved


def test_significance_is_corrected_over_all_segments():
    steady = {str(number): photos(200) for number in range(39)}
    before, now = {"x": photos(60)}, {"x": photos(60, (0.42, 0.38, 0.2, 0.0))}
    alone = found(before, now)[0]
    among = next(each for each in found(steady | before, steady | now) if each.value == "x")
    assert alone.moved
    assert among.p_adjusted == pytest.approx(min(1.0, 40 * alone.p_adjusted))
    assert not among.moved


def test_the_list_is_bounded_and_keeps_the_moved_ones():
    steady = {str(number): photos(1000) for number in range(20)}
    shifts = found({**steady, "z": photos(100)}, {**steady, "z": photos(100, HIGH)}, limit=5)
    assert len(shifts) == 5
    assert shifts[0].value == "z"
