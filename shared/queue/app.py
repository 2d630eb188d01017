"""The Celery application factory: one configuration for every producer and consumer."""

from celery import Celery
from kombu import Queue

from shared.contracts.tasks import (
    CHECK_INVARIANTS,
    EXPLAIN_IMAGE,
    INFER_CHUNK,
    QUEUE_INFERENCE,
    QUEUE_INFERENCE_BULK,
    QUEUE_MAINTENANCE,
    RESCUE_LEASES,
    SWEEP_OUTBOX,
)

# Unacknowledged messages come back after this; leases decide, so it only bounds Redis's memory.
VISIBILITY_TIMEOUT_SECONDS = 3600


def make_celery(redis_url: str, name: str = "detector") -> Celery:
    """Return a Celery app on `redis_url`; results, which would grow Redis, are ignored."""
    app = Celery(name, broker=redis_url)
    app.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue=QUEUE_INFERENCE,
        task_queues=[Queue(QUEUE_INFERENCE), Queue(QUEUE_INFERENCE_BULK), Queue(QUEUE_MAINTENANCE)],
        task_create_missing_queues=False,
        task_routes={
            INFER_CHUNK: {"queue": QUEUE_INFERENCE},
            EXPLAIN_IMAGE: {"queue": QUEUE_INFERENCE},
            SWEEP_OUTBOX: {"queue": QUEUE_MAINTENANCE},
            RESCUE_LEASES: {"queue": QUEUE_MAINTENANCE},
            CHECK_INVARIANTS: {"queue": QUEUE_MAINTENANCE},
        },
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A producer must not hang on a frozen broker: the outbox tries again later.
        task_publish_retry=False,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
            # Without these a half-open connection leaves a live but silent worker.
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app
