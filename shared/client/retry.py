"""When to send a request again, and how long to wait before."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

# The gateway says with these that it accepted nothing, and when to come back, so even a POST is
# sent again. One case in the dark remains, a commit whose confirmation the database lost: then
# the photos are judged a second time under a job of their own, which does no harm.
_REFUSED_FOR_NOW = frozenset({429, 503})
# A proxy's words: the request may have reached the gateway, so only reads are sent again.
_LOST_ON_THE_WAY = frozenset({502, 504})
# No connection came about: not one byte was sent.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


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


def may_resend_after_error(method: str, error: httpx.TransportError) -> bool:
    """Whether repeating is safe after `error`.

    A POST whose connection broke once bytes were under way may have made a job already; sending
    it again would make a second one. So a POST is repeated only when nothing was sent.
    """
    return isinstance(error, NEVER_SENT) or method == "GET"


def may_resend_after_status(method: str, status: int) -> bool:
    """Whether repeating is safe and useful after an answer with `status`."""
    return status in _REFUSED_FOR_NOW or (method == "GET" and status in _LOST_ON_THE_WAY)


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
