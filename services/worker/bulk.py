"""Consumes chunks of bulk catalogs, beside Celery's own consumer and below it in priority.

Celery takes messages of all its queues into one pool: chunks of a catalog would fill every slot,
and a lone photo would wait seconds for one. So the bulk queue has consumers of its own. They share
the model, the batcher and the use case with the tasks.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from celery import Celery, signals
from kombu import Connection, Queue
from kombu.mixins import ConsumerMixin

from shared.contracts.tasks import QUEUE_INFERENCE_BULK
from shared.core.logging import get_logger

log = get_logger(__name__)

# Linux schedules threads, not processes: this one yields to those that serve a waiting client.
_NICENESS = 10
# After a failure that kombu does not take for a lost connection.
_PAUSE_SECONDS = 1.0

ProcessChunk = Callable[[Sequence[UUID]], object]


def yield_to_others() -> None:
    """Lower the CPU priority of the calling thread, where the system can do that for a thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class _Consumer(ConsumerMixin):
    """Takes one chunk at a time and acknowledges it once its verdicts are committed.

    Connects again when the broker was away; a chunk whose acknowledgement was lost comes again and
    finds nothing to lease.
    """

    def __init__(self, connection: Connection, process: ProcessChunk) -> None:
        self.connection = connection
        self._process = process

    def get_consumers(self, Consumer: Any, channel: Any) -> list[Any]:  # noqa: ARG002, N803  # kombu's names
        """Return the one consumer."""
        return [
            Consumer(
                queues=[Queue(QUEUE_INFERENCE_BULK)],
                on_message=self._on_message,
                accept=["json"],
                prefetch_count=1,
            )
        ]

    def on_connection_error(self, exc: Exception, interval: float) -> None:
        """Log one line where kombu would log a traceback."""
        log.warning("bulk.broker_away", error=str(exc), retry_seconds=interval)

    def _on_message(self, message: Any) -> None:
        try:
            # Celery's protocol 2: (args, kwargs, embed).
            chunk = message.payload[1]["image_ids"]
            self._process([UUID(image_id) for image_id in chunk])
        except Exception:
            # The database stayed away, or the message is none of ours: the images, if any, are
            # rescued after their lease. Delivering it again would change nothing.
            log.exception("bulk.error")
        message.ack()


class BulkConsumers:
    """Threads, each with a consumer. They begin nothing new once the process is told to stop."""

    def __init__(
        self, app: Celery, process: ProcessChunk, count: int, patience_seconds: float
    ) -> None:
        self._consumers = [_Consumer(app.connection_for_read(), process) for _ in range(count)]
        self._patience = patience_seconds
        self._threads = [
            threading.Thread(target=_run, args=(consumer,), name="bulk-consumer", daemon=True)
            for consumer in self._consumers
        ]
        # Kept: Celery's signals hold their receivers weakly.
        self._on_shutdown = lambda **_: self.stop()
        signals.worker_shutting_down.connect(self._on_shutdown)

    def start(self) -> None:
        """Begin to consume."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further chunk."""
        for consumer in self._consumers:
            consumer.should_stop = True

    def join(self) -> None:
        """Stop, and wait for the chunks under way; what does not end is rescued after its lease."""
        self.stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(self._patience)
        for consumer in self._consumers:
            consumer.connection.release()


def _run(consumer: _Consumer) -> None:
    """Consume until told to stop, whatever happens meanwhile."""
    while not consumer.should_stop:
        try:
            consumer.run()
        except Exception:
            log.exception("bulk.consumer_failed")
            time.sleep(_PAUSE_SECONDS)
