from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from shared.client.retry import (
    RetryPolicy,
    may_resend_after_error,
    may_resend_after_status,
    retry_after_seconds,
)


@pytest.mark.parametrize(
    ("method", "error", "again"),
    [
        ("POST", httpx.ConnectError("refused"), True),
        ("POST", httpx.ConnectTimeout("slow"), True),
        ("POST", httpx.ReadError("reset"), False),
        ("POST", httpx.RemoteProtocolError("hung up"), False),
        ("POST", httpx.WriteTimeout("stuck"), False),
        ("GET", httpx.ReadError("reset"), True),
        ("GET", httpx.RemoteProtocolError("hung up"), True),
    ],
)
def test_a_post_is_repeated_only_when_nothing_was_sent(
    method: str, error: httpx.TransportError, again: bool
) -> None:
    assert may_resend_after_error(method, error) is again


@pytest.mark.parametrize(
    ("method", "status", "again"),
    [
        ("POST", 429, True),
        ("POST", 503, True),
        ("POST", 502, False),
        ("POST", 504, False),
        ("POST", 500, False),
        ("GET", 502, True),
        ("GET", 504, True),
        ("GET", 404, False),
    ],
)
def test_statuses_that_are_worth_another_try(method: str, status: int, again: bool) -> None:
    assert may_resend_after_status(method, status) is again


def header(value: str) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": value} if value else {})


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after_seconds(header("7")) == 7.0
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait = retry_after_seconds(header(soon))
    assert wait is not None
    assert 55 < wait <= 60
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    assert retry_after_seconds(header(past)) == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-3", "1.5"])
def test_an_unusable_retry_after_is_no_word(value: str) -> None:
    assert retry_after_seconds(header(value)) is None


def test_backoff_grows_up_to_its_limit_and_obeys_the_server() -> None:
    policy = RetryPolicy(first=0.2, longest=5.0)
    for attempt, highest in [(1, 0.2), (2, 0.4), (3, 0.8), (10, 5.0)]:
        assert highest / 2 <= policy.pause(attempt, None) <= highest
    assert policy.pause(1, 12.0) == 12.0
