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
    ("repeatable", "error", "again"),
    [
        (False, httpx.ConnectError("refused"), True),
        (False, httpx.ConnectTimeout("slow"), True),
        (False, httpx.ReadError("reset"), False),
        (False, httpx.RemoteProtocolError("hung up"), False),
        (False, httpx.WriteTimeout("stuck"), False),
        (True, httpx.ReadError("reset"), True),
        (True, httpx.RemoteProtocolError("hung up"), True),
    ],
)
def test_what_is_not_repeatable_is_sent_again_only_when_nothing_was_sent(
    repeatable: bool, error: httpx.TransportError, again: bool
) -> None:
    assert may_resend_after_error(error, repeatable=repeatable) is again


@pytest.mark.parametrize(
    ("repeatable", "status", "again"),
    [
        (False, 429, True),
        (False, 503, True),
        (False, 502, False),
        (False, 504, False),
        (False, 500, False),
        (True, 502, True),
        (True, 504, True),
        (True, 404, False),
    ],
)
def test_statuses_that_are_worth_another_try(repeatable: bool, status: int, again: bool) -> None:
    assert may_resend_after_status(status, repeatable=repeatable) is again


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
