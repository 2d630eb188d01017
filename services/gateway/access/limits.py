"""Per-tenant request limits: a sliding window in Redis, in this process's memory without it.

Redis is only a delivery hint elsewhere, and here too: when it is away, slow or emptied, requests
go on, counted by each gateway process for itself.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from shared.core.logging import get_logger

log = get_logger(__name__)

_WINDOW_SECONDS = 60
# Seconds that Redis may take; every keyed request waits for it.
_REDIS_SECONDS = 0.5
# Seconds without Redis after it failed, so that a frozen one does not slow every request down.
_REDIS_PAUSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a tenant may still send."""

    allowed: bool
    # Requests per minute.
    limit: int
    remaining: int
    # Seconds: until the next request is allowed when none is, else until the window's end.
    reset_seconds: int

    def headers(self) -> Mapping[str, str]:
        """Return the `RateLimit-*` headers (draft-ietf-httpapi-ratelimit-headers-03)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


@dataclass(frozen=True, slots=True)
class Window:
    """Requests counted in the last full window and in the one that runs; see `remaining`."""

    previous: float
    # Seconds for which the previous window still weighs, less and less.
    previous_left: float
    current: float
    # Seconds until the current window becomes the previous one.
    current_left: float

    def remaining(self, limit: int) -> int:
        """Return how many requests are allowed now."""
        weighted = math.floor(self.previous * self.previous_left / _WINDOW_SECONDS) + self.current
        return max(0, math.floor(limit - weighted))

    def seconds_until_allowed(self, limit: int) -> int:
        """Return whole seconds, at least 1, until one request is allowed if none comes before."""
        if self.current < limit:
            return _decayed(self.previous, self.previous_left, limit - self.current)
        # Only as the previous window will this one lose weight.
        return math.ceil(self.current_left) + _decayed(self.current, _WINDOW_SECONDS, limit)


def _decayed(count: float, left: float, room: float) -> int:
    """Return whole seconds until `count`, of which `left` seconds are left, weighs below `room`."""
    if count <= 0:
        return 1
    return max(1, math.floor(left - room * _WINDOW_SECONDS / count) + 1)


class TenantLimits:
    """Counts the requests of each tenant. Use it on one event loop only."""

    def __init__(self, redis_url: str, requests_per_minute: int) -> None:
        """`requests_per_minute` is for tenants without a limit of their own; 0 is no limit."""
        self._default = requests_per_minute
        self._connections = ConnectionPool.from_url(
            redis_url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
        )
        self._redis = RedisStorage(
            f"async+{redis_url}",
            implementation="redispy",
            key_prefix="detector-limits",
            connection_pool=self._connections,  # type: ignore[arg-type]  # as documented
        )
        self._memory = MemoryStorage()
        self._away_until = 0.0

    async def count(self, tenant_id: UUID, own_limit: int | None) -> Allowance | None:
        """Count a request of the tenant; None when it has no limit."""
        limit = self._default if own_limit is None else own_limit
        if limit <= 0:
            return None
        if time.monotonic() >= self._away_until:
            try:
                return await _count(self._redis, tenant_id, limit)
            except (RedisError, OSError, TimeoutError) as error:
                self._away_until = time.monotonic() + _REDIS_PAUSE_SECONDS
                log.warning("limits.redis_away", error=str(error) or type(error).__name__)
        return await _count(self._memory, tenant_id, limit)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._connections.disconnect()


async def _count(storage: RedisStorage | MemoryStorage, tenant_id: UUID, limit: int) -> Allowance:
    item = RateLimitItemPerMinute(limit)
    key = str(tenant_id)
    allowed = await SlidingWindowCounterRateLimiter(storage).hit(item, key)
    found = await storage.get_sliding_window(item.key_for(key), item.get_expiry())
    previous, previous_left, current, expires_in = found
    # Counters are kept for a second window, in which they weigh as the previous one.
    window = Window(previous, previous_left, current, expires_in % _WINDOW_SECONDS)
    remaining = window.remaining(limit) if allowed else 0
    if remaining:
        reset = max(1, math.ceil(window.current_left))
    else:
        reset = window.seconds_until_allowed(limit)
    return Allowance(allowed, limit, remaining, reset)
