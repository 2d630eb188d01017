"""Severity of a window, and hysteresis over windows."""

import pytest

from services.drift.report.severity import Patience, State, advance, is_calm, window_severity
from shared.contracts.drift import Cause, Severity, Statistic

NONE, WARNING, CRITICAL = Severity
PATIENCE = Patience(raise_after=2, clear_after=3)


def statistic(value, drifted=True, name="psi", p=1e-6):
    return Statistic(
        name=name,
        subject="score",
        value=value,
        threshold=0.1,
        p_value=p,
        p_adjusted=p,
        drifted=drifted,
        n_reference=1,
        n_current=1,
    )


def follow(*windows):
    told, state = [], State()
    for window in windows:
        state = advance(state, window, calm=window is NONE, patience=PATIENCE)
        told.append(state.severity)
    return told


@pytest.mark.parametrize(
    ("value", "cause", "expected"),
    [
        (0.15, Cause.SCORE_SHIFT, WARNING),
        (0.2, Cause.SCORE_SHIFT, CRITICAL),
        (0.2, Cause.INPUT_SHIFT, WARNING),
        (0.4, Cause.INPUT_SHIFT, CRITICAL),
    ],
)
def test_large_effects_are_critical_sooner_when_the_model_is_concerned(value, cause, expected):
    assert window_severity([statistic(value)], cause) is expected


def test_what_has_not_drifted_says_nothing_and_a_mix_is_never_critical():
    assert window_severity([statistic(9.0, drifted=False)], Cause.NONE) is NONE
    moved = statistic(1.0, name="total_variation")
    assert window_severity([moved], Cause.INPUT_SHIFT) is WARNING


def test_one_window_alone_never_tells():
    assert set(follow(CRITICAL, NONE, CRITICAL, NONE, WARNING, NONE)) == {NONE}


def test_two_in_a_row_tell():
    assert follow(WARNING, WARNING) == [NONE, WARNING]
    assert follow(CRITICAL, CRITICAL) == [NONE, CRITICAL]
    assert follow(WARNING, CRITICAL, CRITICAL) == [NONE, WARNING, CRITICAL]


def test_a_window_just_below_the_thresholds_agrees_with_one_above():
    for order in (WARNING, NONE), (NONE, WARNING):
        state = State()
        for window in order:
            assert state.severity is NONE
            state = advance(state, window, calm=False, patience=PATIENCE)
        assert state.severity is WARNING


def test_windows_just_below_the_thresholds_alone_never_tell():
    state = State()
    for _ in range(9):
        state = advance(state, NONE, calm=False, patience=PATIENCE)
    assert state.severity is NONE


def test_a_calm_window_between_starts_the_count_again():
    state = State()
    for window, calm in ((WARNING, False), (NONE, True), (WARNING, False)):
        state = advance(state, window, calm=calm, patience=PATIENCE)
        assert state.severity is NONE


def test_it_ends_after_three_calm_windows_in_a_row():
    assert follow(WARNING, WARNING, NONE, NONE, WARNING, NONE, NONE, NONE) == [
        NONE, *[WARNING] * 6, NONE,
    ]  # fmt: skip


def test_an_alert_does_not_flap_around_its_threshold():
    told = follow(*[WARNING, WARNING, NONE] * 10)
    assert told[1:] == [WARNING] * 29


def test_critical_does_not_fade_to_a_warning():
    assert follow(CRITICAL, CRITICAL, WARNING, WARNING, WARNING)[-1] is CRITICAL


def test_a_window_between_the_thresholds_neither_raises_nor_ends():
    state = State(WARNING, warm=2)
    for _ in range(5):
        state = advance(state, NONE, calm=False, patience=PATIENCE)
    assert state.severity is WARNING


def test_calm_is_well_below_every_threshold_or_chance():
    assert is_calm([statistic(0.06, drifted=False)], 0.01)
    assert not is_calm([statistic(0.08, drifted=False)], 0.01)
    assert is_calm([statistic(0.08, drifted=False, p=0.5)], 0.01)
