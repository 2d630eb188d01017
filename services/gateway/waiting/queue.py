"""Knows about how long the queue is, for `Retry-After`; asks the database now and then."""

import asyncio
import contextlib
import math
import time

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError

from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.queue.wait import queue_wait

log = get_logger(__name__)

# Seconds that a measurement is used, and bounds on what clients are told.
_FRESH_SECONDS = 2.0
_SHORTEST = 1
_LONGEST = 60


class QueueWatch:
    """Use it on one event loop only. Answers at once, from the last measurement."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self._slot = CapacityLimiter(1)
        self._seconds = 0.0
        self._measured_at = float("-inf")
        self._measuring: asyncio.Task[None] | None = None

    def retry_after(self) -> str:
        """Return after how many seconds a look at a job submitted now is worth while.

        A measurement that has become old is renewed meanwhile, for the next one who asks.
        """
        idle = self._measuring is None or self._measuring.done()
        if idle and time.monotonic() - self._measured_at > _FRESH_SECONDS:
            self._measuring = asyncio.create_task(self._measure(), name="queue-watch")
        return str(min(_LONGEST, max(_SHORTEST, math.ceil(self._seconds))))

    async def close(self) -> None:
        """Let go of a measurement that still runs."""
        if self._measuring is not None:
            self._measuring.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._measuring

    async def _measure(self) -> None:
        try:
            self._seconds = await to_thread.run_sync(self._read, limiter=self._slot)
        except SQLAlchemyError as error:
            log.warning("queue_watch.failed", error=str(getattr(error, "orig", None) or error))
        finally:
            self._measured_at = time.monotonic()

    def _read(self) -> float:
        with self._sessions() as session:
            return queue_wait(session).seconds
