"""Prometheus metrics of the maintenance process."""

from prometheus_client import Counter, Gauge

OUTBOX_UNSENT = Gauge("detector_outbox_unsent_messages", "Due messages the broker has not taken.")
OUTBOX_AGE = Gauge("detector_outbox_oldest_seconds", "Age of the oldest due unsent message.")
IMAGES = Gauge("detector_images_open", "Images not yet terminal, by status.", ["status"])
OLDEST = Gauge(
    "detector_images_oldest_queued_seconds",
    "Age of the oldest image still queued: `bulk` for photos of catalogs, `direct` for all others.",
    ["queue"],
)
STUCK = Gauge(
    "detector_images_stuck",
    "Open images that no longer move: `lease_expired`, `crashing` workers, or `waiting` too long.",
    ["reason"],
)
BROKER_DEPTH = Gauge(
    "detector_broker_inference_messages", "Chunk messages waiting in the broker.", ["queue"]
)
LAST_ANSWER = Gauge(
    "detector_dependency_last_answer_timestamp_seconds",
    "When `database`, `broker` or `storage` last answered; at first, when this process started.",
    ["dependency"],
)
PROBE_SECONDS = Gauge(
    "detector_dependency_probe_seconds",
    "How long a server's last answer to the smallest question took.",
    ["dependency"],
)
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
    "detector_maintenance_last_success_timestamp_seconds",
    "When a sweep last succeeded; at first, when this process started.",
    ["sweep"],
)
SWEEP_FAILURES = Counter(
    "detector_maintenance_sweep_failures_total", "Sweeps that an exception ended.", ["sweep"]
)
TENANT_VERDICTS = Counter(
    "detector_tenant_verdicts_total",
    "Verdicts by tenant, label and kind of job (`job`, `predict`, `catalog`).",
    ["tenant", "label", "kind"],
)
TENANT_BASIS = Counter(
    "detector_tenant_verdict_basis_total",
    "Verdicts by tenant and basis: `pixels`, or a `statement` in the file.",
    ["tenant", "basis"],
)
TENANT_REVIEWS = Counter(
    "detector_tenant_reviews_total",
    "Reviewers' labels by tenant; `overturned` ones changed the label that counts.",
    ["tenant", "label", "outcome"],
)
TENANT_OPEN = Gauge(
    "detector_tenant_images_open", "Images not yet terminal, by tenant.", ["tenant"]
)

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _reason in ("lease_expired", "message_lost"):
    RESCUED.labels(_reason)
