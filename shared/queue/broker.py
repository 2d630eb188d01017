"""What the rescue needs to know of the broker itself."""

import redis

from shared.contracts.tasks import QUEUE_INFERENCE

_EPOCH_KEY = "detector:broker_epoch"


class Broker:
    """A small Redis client with short time limits; raises redis.RedisError when it is away."""

    def __init__(self, redis_url: str, timeout_seconds: float = 3.0) -> None:
        self._redis = redis.Redis.from_url(
            redis_url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds
        )

    def ping(self) -> None:
        """Raise redis.RedisError unless the broker answers."""
        self._redis.ping()

    def forgot_everything(self) -> bool:
        """Return True once after the broker lost its memory (FLUSHALL, restart, new server).

        A key that is always set is missing then. The first call ever returns True as well.
        """
        return bool(self._redis.set(_EPOCH_KEY, "1", nx=True))

    def depth(self, queue: str = QUEUE_INFERENCE) -> int:
        """Return how many messages of `queue` wait undelivered."""
        return int(self._redis.llen(queue))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
