"""When a failed attempt is repeated."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.schedule import Schedule, retry_after_seconds
from services.webhooks.settings import DispatcherSettings

SERVERS = {
    "database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none",
    "redis_url": "redis://127.0.0.1:1/0",
    "s3_endpoint": "http://127.0.0.1:1",
    "s3_access_key": "a",
    "s3_secret_key": "s",
    "webhook_secret_keys": "00" * 32,
}
MINUTE, HOUR = 60, 3600
WANTED = [5, 5 * MINUTE, 30 * MINUTE, *(hours * HOUR for hours in (2, 5, 10, 14, 20, 24))]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def schedule(**changes) -> Schedule:
    return Schedule.from_settings(DispatcherSettings(**SERVERS, **changes))


def test_the_default_schedule_is_that_of_the_documentation():
    plan = schedule(webhook_jitter=0.0)
    assert plan.delays[0] == 0
    chance = random.Random(1)
    assert [plan.delay(attempts, None, chance) for attempts in range(1, 10)] == WANTED
    assert plan.delay(10, None, chance) is None


@given(attempts=st.integers(1, 9), seed=st.integers())
def test_jitter_keeps_within_its_tenth(attempts, seed):
    delay = schedule().delay(attempts, None, random.Random(seed))
    assert 0.9 * WANTED[attempts - 1] <= delay <= 1.1 * WANTED[attempts - 1]


def test_retry_after_only_lengthens_and_only_to_a_day():
    plan, chance = schedule(webhook_jitter=0.0), random.Random(1)
    assert plan.delay(1, 120.0, chance) == 120
    assert plan.delay(2, 120.0, chance) == 5 * MINUTE
    assert plan.delay(1, 1e8, chance) == 24 * HOUR
    assert plan.delay(10, 120.0, chance) is None


def test_the_clock_scale_holds_for_everything():
    plan, chance = schedule(webhook_jitter=0.0, webhook_clock_scale=0.001), random.Random(1)
    assert plan.delay(2, None, chance) == pytest.approx(0.3)
    assert plan.delay(1, 60.0, chance) == pytest.approx(0.06)
    assert plan.is_hopeless(5 * 24 * 3.6 + 1)
    assert not plan.is_hopeless(5 * 24 * 3.6 - 1)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:01:00 -0000", None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value, seconds):
    assert retry_after_seconds({"retry-after": value}, NOW) == seconds


def test_without_the_header_nothing_is_asked_for():
    assert retry_after_seconds({}, NOW) is None


def test_a_lease_that_ends_before_its_attempt_is_refused():
    with pytest.raises(ValueError, match="must exceed"):
        schedule(webhook_timeout_seconds=60.0)
