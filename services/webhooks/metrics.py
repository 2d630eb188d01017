"""Prometheus metrics of the webhooks service."""

from shared.core import metrics

ATTEMPTS = metrics.counter(
    "webhook_attempts",
    "Requests sent: `succeeded`, `retried` later, `failed` for good.",
    labels=("outcome",),
)
ATTEMPT_SECONDS = metrics.histogram("webhook_attempt_seconds", "From the request to its answer.")
DELAY_SECONDS = metrics.histogram(
    "webhook_delivery_delay_seconds", "From an event to its first attempt's end."
)
DISABLED = metrics.counter(
    "webhook_endpoints_disabled", "Endpoints disabled by us.", labels=("reason",)
)
IN_FLIGHT = metrics.live_sum("webhook_attempts_in_progress", "Deliveries being attempted.")
DUE = metrics.live_sum("webhook_deliveries_due", "Due deliveries that nobody attempts.")
SCHEDULED = metrics.live_sum(
    "webhook_deliveries_scheduled", "Deliveries under way, or waiting for their next attempt."
)
OLDEST_DUE = metrics.live_sum(
    "webhook_deliveries_oldest_due_seconds", "Age of the oldest due delivery."
)

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _outcome in ("succeeded", "retried", "failed"):
    ATTEMPTS.labels(_outcome)
for _reason in ("gone", "failing"):
    DISABLED.labels(_reason)
