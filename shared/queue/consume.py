"""Runs a Celery worker in this process until it is told to stop."""

import os
import socket
from typing import Literal

from celery import Celery


def consume(
    app: Celery, queue: str, log_level: str, pool: Literal["threads", "solo"], concurrency: int = 1
) -> None:
    """Consume `queue` until SIGTERM or SIGINT; running tasks are finished first.

    Gossip, mingle and event heartbeats are off: nothing here reads them, and each is a message.
    """
    worker = app.Worker(
        hostname=f"{queue}-{os.getpid()}@{socket.gethostname()}",
        queues=[queue],
        pool=pool,
        concurrency=concurrency,
        loglevel=log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
