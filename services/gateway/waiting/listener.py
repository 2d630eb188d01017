"""Hears of finished jobs: one LISTEN connection per process wakes every waiting request."""

import asyncio
import contextlib
from collections.abc import Iterator
from uuid import UUID

import psycopg

from services.gateway import metrics
from shared.contracts.tasks import CHANNEL_JOB_FINISHED
from shared.core.logging import get_logger
from shared.db.engine import listener_conninfo

log = get_logger(__name__)

# Seconds between two proofs that the connection still lives.
_PROBE_SECONDS = 10.0
_PROBE_TIMEOUT_SECONDS = 5.0
_RECONNECT_SECONDS = (0.2, 5.0)


class JobListener:
    """Maps `NOTIFY job_finished` to asyncio events. Use it on one event loop only."""

    def __init__(self, database_url: str) -> None:
        self._conninfo = listener_conninfo(database_url, "detector-gateway-listener")
        self._waiting: dict[UUID, set[asyncio.Event]] = {}
        self.connected = False
        self.closing = False

    @contextlib.contextmanager
    def subscribe(self, job_id: UUID) -> Iterator[asyncio.Event]:
        """Give an event that is set when the job may have finished; clear it and look.

        Subscribe before the first look at the database, and no notification can be missed.
        """
        event = asyncio.Event()
        if self.closing:
            event.set()
        self._waiting.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._waiting[job_id]
            events.discard(event)
            if not events:
                del self._waiting[job_id]

    def close(self) -> None:
        """Wake everyone for good: the process is about to end."""
        self.closing = True
        self._wake_all()

    async def run(self) -> None:
        """Listen until cancelled; reconnects with growing pauses."""
        pause, longest = _RECONNECT_SECONDS
        while True:
            try:
                async with await self._connect() as connection:
                    pause = _RECONNECT_SECONDS[0]
                    await self._listen(connection)
            except (psycopg.Error, OSError) as error:  # TimeoutError is an OSError
                log.warning("listener.lost", error=str(error).strip())
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _connect(self) -> "psycopg.AsyncConnection[tuple[object, ...]]":
        return await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)

    async def _listen(self, connection: "psycopg.AsyncConnection[tuple[object, ...]]") -> None:
        await connection.execute(f"LISTEN {CHANNEL_JOB_FINISHED}")
        self.connected = True
        metrics.LISTENERS.set(1)
        log.info("listener.connected")
        self._wake_all()  # something may have finished while nobody listened
        try:
            while True:
                async for notification in connection.notifies(timeout=_PROBE_SECONDS):
                    self._wake(notification.payload)
                async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
                    await connection.execute("SELECT 1")
        finally:
            self.connected = False
            metrics.LISTENERS.set(0)

    def _wake(self, payload: str) -> None:
        try:
            job_id = UUID(payload)
        except ValueError:  # anyone with a database login may notify
            log.warning("listener.odd_payload", payload=payload[:64])
            return
        for event in self._waiting.get(job_id, ()):
            event.set()

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


async def next_change(changed: asyncio.Event, seconds: float) -> None:
    """Return once a subscription's event is set, and clear it; after `seconds` anyway."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()
    changed.clear()
