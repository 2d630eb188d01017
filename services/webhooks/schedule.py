"""What follows an attempt: pure decisions, no clock and no database."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from services.webhooks.settings import DispatcherSettings

GONE = 410


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to try again. Source: Standard Webhooks 1.0, "Deliverability and reliability"."""

    # Seconds before each attempt, counted from the one before.
    delays: tuple[float, ...]
    jitter: float
    retry_after_limit: float
    disable_after: float
    scale: float

    @classmethod
    def from_settings(cls, settings: DispatcherSettings) -> "Schedule":
        """Return the schedule that `settings` describe."""
        return cls(
            settings.webhook_schedule,
            settings.webhook_jitter,
            settings.webhook_retry_after_limit_seconds,
            settings.webhook_disable_after_seconds,
            settings.webhook_clock_scale,
        )

    def delay(
        self, attempts: int, retry_after: float | None, chance: random.Random
    ) -> float | None:
        """Return the seconds until the next attempt after `attempts` failed ones, None for never.

        The receiver's `retry_after` seconds can only lengthen it.
        """
        if attempts >= len(self.delays):
            return None
        delay = self.delays[attempts] * chance.uniform(1 - self.jitter, 1 + self.jitter)
        if retry_after is not None:
            delay = max(delay, min(retry_after, self.retry_after_limit))
        return delay * self.scale

    def is_hopeless(self, failing_seconds: float) -> bool:
        """Return whether an endpoint that fails for so long is to be disabled."""
        return failing_seconds > self.disable_after * self.scale


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return what `Retry-After` asks for (RFC 9110, section 10.2.3); None without or when odd.

    Args:
        headers: names in lower case.
        now: aware time that an HTTP date is compared with.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) < 10 else None
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None
