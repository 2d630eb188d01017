"""Tables. The database itself refuses nonsense: CHECKs tie states to timestamps and leases."""

from shared.db.models.base import Base
from shared.db.models.catalogs import Catalog, CatalogItem
from shared.db.models.drift import (
    DriftReference,
    DriftReferenceRequest,
    DriftReport,
    DriftRun,
    DriftState,
)
from shared.db.models.feedback import Feedback
from shared.db.models.heatmaps import Heatmap
from shared.db.models.jobs import Image, Job, JobEvent, Verdict
from shared.db.models.queue import IdempotencyKey, OutboxMessage
from shared.db.models.tenants import ApiKey, Tenant
from shared.db.models.webhooks import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookSecret,
)

__all__ = [
    "ApiKey",
    "Base",
    "Catalog",
    "CatalogItem",
    "DriftReference",
    "DriftReferenceRequest",
    "DriftReport",
    "DriftRun",
    "DriftState",
    "Feedback",
    "Heatmap",
    "IdempotencyKey",
    "Image",
    "Job",
    "JobEvent",
    "OutboxMessage",
    "Tenant",
    "Verdict",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookSecret",
]
