"""What a window of counted requests means for the next one."""

from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.limits import Allowance, Window

_WINDOW = 60


def _after(window: Window, seconds: float) -> Window:
    """The window `seconds` later, nothing sent meanwhile: written from the definition."""
    if seconds < window.current_left:
        left = max(0.0, window.previous_left - seconds)
        return Window(window.previous, left, window.current, window.current_left - seconds)
    over = seconds - window.current_left
    return Window(window.current, max(0.0, _WINDOW - over), 0, max(0.0, _WINDOW - over))


@given(
    limit=st.integers(1, 10_000),
    previous=st.floats(0, 1),
    current=st.floats(0, 1),
    left=st.floats(0.01, 59.99),
)
def test_after_the_named_seconds_a_request_is_allowed_and_not_two_seconds_sooner(
    limit: int, previous: float, current: float, left: float
) -> None:
    window = Window(int(previous * limit), left, int(current * limit), left)
    if window.remaining(limit):
        return
    seconds = window.seconds_until_allowed(limit)
    assert _after(window, seconds).remaining(limit) >= 1
    if seconds > 2:
        assert _after(window, seconds - 2).remaining(limit) == 0


def test_previous_window_weighs_less_and_less() -> None:
    assert Window(100, 60, 0, 60).remaining(100) == 0
    assert Window(100, 30, 0, 30).remaining(100) == 50
    assert Window(100, 30, 45, 30).remaining(100) == 5
    assert Window(0, 0, 100, 12).remaining(100) == 0
    assert Window(0, 0, 0, 60).remaining(100) == 100


def test_a_full_window_waits_for_its_end() -> None:
    assert Window(0, 0, 100, 12).seconds_until_allowed(100) == 13


def test_headers_name_limit_rest_and_seconds() -> None:
    assert Allowance(True, 60, 7, 12).headers() == {
        "RateLimit-Limit": "60",
        "RateLimit-Remaining": "7",
        "RateLimit-Reset": "12",
    }
