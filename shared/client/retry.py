"""When to send a request again, and how long to wait before."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

# The gateway says with these that it accepted nothing, and when to come back, so any request is
# sent again.
_REFUSED_FOR_NOW = frozenset({429, 503})
# A proxy's words: the request may have reached the gateway.
_LOST_ON_THE_WAY = frozenset({502, 504})
# No connection came about: not one byte was sent.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Sent twice, these leave the gateway as sent once. So does a POST with an Idempotency-Key.
REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter; all in seconds.

    One call is repeated for at most `busy` while the gateway says 429 or 503, and for at most
    `unreachable` while connections fail, which bridges a restart.
    """

    busy: float = 60.0
    unreachable: float = 10.0
    first: float = 0.2
    longest: float = 5.0

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Return the wait before attempt number `attempt` + 1 (counted from 1)."""
        if retry_after is not None:
            return retry_after
        return float(min(self.longest, self.first * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))


def may_resend_after_error(error: httpx.TransportError, *, repeatable: bool) -> bool:
    """Whether another attempt is safe after `error`.

    A connection that broke once bytes were under way leaves open whether the gateway did its part;
    only a `repeatable` request is sent again then.
    """
    return repeatable or isinstance(error, NEVER_SENT)


def may_resend_after_status(status: int, *, repeatable: bool) -> bool:
    """Whether another attempt is safe and useful after an answer with `status`."""
    return status in _REFUSED_FOR_NOW or (repeatable and status in _LOST_ON_THE_WAY)


def retry_after_seconds(response: httpx.Response) -> float | None:
    """Return the Retry-After header in seconds (delay or HTTP date), None without a usable one."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
