"""Hears of due deliveries: one LISTEN connection of its own wakes the dispatcher."""

import threading
from collections.abc import Callable

import psycopg

from shared.contracts.tasks import CHANNEL_WEBHOOK_DUE
from shared.core.logging import get_logger
from shared.db.engine import listener_conninfo

log = get_logger(__name__)

# Seconds between two looks at whether to stop.
_LOOK_SECONDS = 0.5
# Looks between two proofs that the connection lives.
_LOOKS_PER_PROBE = 20
_RECONNECT_SECONDS = 1.0


class DueListener:
    """A thread that calls `wake` at every notification. Without it, polling finds what is due."""

    def __init__(self, database_url: str, wake: Callable[[], None]) -> None:
        self._conninfo = listener_conninfo(database_url, "detector-webhooks-listener")
        self._wake = wake
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="due-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    self._listen(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("listener.lost", error=str(error).strip())
                self._stopping.wait(_RECONNECT_SECONDS)

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self._conninfo, autocommit=True)

    def _listen(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        connection.execute(f"LISTEN {CHANNEL_WEBHOOK_DUE}")
        log.info("listener.connected")
        self._wake()  # something may have become due while nobody listened
        looks = 0
        while not self._stopping.is_set():
            for _ in connection.notifies(timeout=_LOOK_SECONDS):
                self._wake()
            looks += 1
            if looks % _LOOKS_PER_PROBE == 0:
                connection.execute("SELECT 1")
