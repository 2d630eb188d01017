"""Windows: without gap or overlap, whatever the traffic and whenever one looks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.drift.windows import DueWindow, Plan, next_start, next_window

HOUR = timedelta(hours=1)
PLAN = Plan(HOUR, 100, timedelta(hours=24))
START = datetime(2026, 1, 5, tzinfo=UTC)


def at(hour):
    return START + hour * HOUR


def all_windows(slots, until, plan=PLAN):
    """Check windows as the service does, until none is due."""
    found, start = [], START
    while True:
        passed = (start - START) // plan.step
        shifted = {slot - passed: n for slot, n in slots.items() if slot >= passed}
        due = next_window(plan, start, until, shifted)
        if due is None:
            return found
        found.append(due)
        start = due.end


def test_a_window_ends_when_it_holds_enough():
    assert next_window(PLAN, START, at(9), {0: 60, 1: 30, 2: 10, 3: 500}) == DueWindow(
        START, at(3), 100
    )


def test_an_hour_of_much_traffic_is_a_window():
    assert next_window(PLAN, START, at(1), {0: 5000}) == DueWindow(START, at(1), 5000)


def test_a_window_is_not_due_before_its_hour_is_over():
    assert next_window(PLAN, START, at(1) - timedelta(seconds=1), {0: 5000}) is None


def test_thin_traffic_is_checked_once_a_day():
    assert next_window(PLAN, START, at(23), {0: 3}) is None
    assert next_window(PLAN, START, at(24), {0: 3}) == DueWindow(START, at(24), 3)


def test_silence_ends_where_traffic_begins():
    assert next_window(PLAN, START, at(900), {700: 1}) == DueWindow(START, at(700), 0)
    assert next_window(PLAN, START, at(900), {}) is None
    # The hour of the first photo is not over.
    assert next_window(PLAN, START, at(700), {700: 1}) is None


def test_rounding_to_steps():
    moment = datetime(2026, 1, 5, 10, 17, tzinfo=UTC)
    assert PLAN.floor(moment) == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert PLAN.ceiling(moment) == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert PLAN.floor(PLAN.floor(moment)) == PLAN.ceiling(PLAN.floor(moment))


slots = st.dictionaries(st.integers(0, 120), st.integers(1, 150), max_size=60)


@given(slots=slots, until=st.integers(0, 130))
def test_windows_follow_each_other_and_hold_every_photo_once(slots, until):
    found = all_windows(slots, at(until))
    assert all(before.end == after.start for before, after in pairwise(found))
    for window in found:
        inside = sum(n for slot, n in slots.items() if window.start <= at(slot) < window.end)
        assert inside == window.photos
        assert window.end <= at(until)
        assert (
            window.photos >= PLAN.photos
            or window.end - window.start == PLAN.limit
            or (window.photos == 0)
        )


@given(slots=slots, first=st.integers(0, 130), then=st.integers(0, 130))
def test_looking_earlier_changes_no_window(slots, first, then):
    early, late = sorted((first, then))
    seen = {slot: n for slot, n in slots.items() if slot < early}
    assert all_windows(slots, at(late))[: len(all_windows(seen, at(early)))] == all_windows(
        seen, at(early)
    )


def test_windows_begin_after_what_was_checked_and_after_the_reference():
    first = at(0.4)
    # An evaluation is of no time: with the first verdict.
    assert next_start(PLAN, None, None, first) == START
    assert next_start(PLAN, None, at(24), first) == at(24)
    assert next_start(PLAN, at(30), None, first) == at(30)
    assert next_start(PLAN, at(30), at(24), first) == at(30)
    # A window that an operator froze begins and ends at any time; its photos are no news.
    assert next_start(PLAN, at(30), at(32.5), first) == at(33)
