"""Prometheus metrics of the maintenance process."""

from prometheus_client import Counter, Gauge

OUTBOX_UNSENT = Gauge("detector_outbox_unsent_messages", "Due messages the broker has not taken.")
OUTBOX_AGE = Gauge("detector_outbox_oldest_seconds", "Age of the oldest due unsent message.")
IMAGES = Gauge("detector_images_open", "Images not yet terminal, by status.", ["status"])
OLDEST = Gauge("detector_images_oldest_queued_seconds", "Age of the oldest image still queued.")
BROKER_DEPTH = Gauge(
    "detector_broker_inference_messages", "Chunk messages waiting in the broker.", ["queue"]
)
BROKER_UP = Gauge("detector_broker_up", "1 while the broker answers.")
RESCUED = Counter(
    "detector_images_rescued_total",
    "Images put back in the queue: `lease_expired` (a worker died) or `message_lost`.",
    ["reason"],
)
EXHAUSTED = Counter(
    "detector_images_exhausted_total", "Images failed because their leases ran out too often."
)
VIOLATIONS = Gauge(
    "detector_invariant_violations", "Rows that break a standing truth; not 0 is a bug.", ["name"]
)
LAST_RUN = Gauge(
    "detector_maintenance_last_success_timestamp_seconds", "When a sweep last succeeded.", ["sweep"]
)
