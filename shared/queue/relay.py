"""The outbox relay: publishes what the database says must reach the broker.

The same `publish_due` serves the gateway (poked right after commit, so the usual latency is
milliseconds) and the maintenance service (a sweep, so that a lost poke loses nothing).
"""

import threading

from celery import Celery

from shared.contracts.tasks import (
    EXPLAIN_IMAGE,
    INFER_CHUNK,
    QUEUE_INFERENCE,
    QUEUE_INFERENCE_BULK,
    TOPIC_EXPLAIN_IMAGE,
    TOPIC_INFER_BULK_CHUNK,
    TOPIC_INFER_CHUNK,
)
from shared.core.errors import QueueUnavailable
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.queue import outbox

log = get_logger(__name__)

# Task and queue of each topic.
_ROUTES = {
    TOPIC_INFER_CHUNK: (INFER_CHUNK, QUEUE_INFERENCE),
    TOPIC_EXPLAIN_IMAGE: (EXPLAIN_IMAGE, QUEUE_INFERENCE),
    TOPIC_INFER_BULK_CHUNK: (INFER_CHUNK, QUEUE_INFERENCE_BULK),
}
BATCH = 100


def publish_due(sessions: SessionFactory, celery: Celery, limit: int = BATCH) -> int:
    """Send up to `limit` due messages and mark them sent; returns how many.

    Raises QueueUnavailable when the broker does not take one; what was taken before stays marked.
    A crash between sending and marking sends twice, which leases make harmless.
    """
    failure: Exception | None = None
    with sessions.begin() as session:
        sent: list[int] = []
        for message in outbox.claim(session, limit):
            try:
                task, queue = _ROUTES[message.topic]
                celery.send_task(task, kwargs=message.payload, queue=queue)
            except Exception as error:  # noqa: BLE001  # transports raise their own and socket errors
                failure = error
                break
            sent.append(message.id)
        if sent:
            outbox.mark_sent(session, sent)
    if failure is not None:
        raise QueueUnavailable(f"the broker took no message: {failure}") from failure
    return len(sent)


class OutboxRelay:
    """A thread that publishes when poked. After a failure it rests; the rows stay in the outbox."""

    def __init__(self, sessions: SessionFactory, celery: Celery, rest_seconds: float = 2.0) -> None:
        self._sessions = sessions
        self._celery = celery
        self._rest_seconds = rest_seconds
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-relay", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def poke(self) -> None:
        """Say that a transaction with outbox rows has committed; returns at once."""
        self._poked.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread; what is unsent stays in the outbox for the next sweep."""
        self._stopping.set()
        self._poked.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._poked.wait()
            self._poked.clear()
            try:
                while not self._stopping.is_set() and publish_due(self._sessions, self._celery):
                    pass
            except Exception as error:  # noqa: BLE001  # the thread must outlive any fault
                # Broker or database is away: the sweep will send it, and so will the next poke.
                log.warning("relay.failed", error=str(error))
                self._stopping.wait(self._rest_seconds)
