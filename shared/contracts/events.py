"""Words of webhooks (Standard Webhooks 1.0, standardwebhooks.com)."""

from enum import StrEnum


class EventType(StrEnum):
    """What an endpoint can be told. The names are part of the API: add to them, never rename."""

    JOB_COMPLETED = "job.completed"  # every photo terminal, at least one judged, or cancelled
    JOB_FAILED = "job.failed"  # every photo terminal, none judged
    CATALOG_COMPLETED = "catalog.completed"
    DRIFT_DETECTED = "drift.detected"
    VERDICT_CHANGED = "verdict.changed"  # a reviewer overturned a verdict
    ENDPOINT_DISABLED = "endpoint.disabled"  # told to the tenant's other endpoints
    ENDPOINT_TEST = "endpoint.test"


class EndpointStatus(StrEnum):
    """A disabled endpoint gets nothing until it is enabled again."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """A delivery is `pending` until it succeeded or its schedule ended."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
