"""Webhook events to the bodies that receivers see (Standard Webhooks 1.0, "Payload structure")."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.db.catalogs.rows import get_catalog
from shared.db.jobs.rows import get_job
from shared.db.models import WebhookEvent
from shared.db.webhooks.delivery_log import store_data
from shared.present.catalogs import catalog_body
from shared.present.jobs import job_body

_JOB_EVENTS = frozenset({EventType.JOB_COMPLETED, EventType.JOB_FAILED})


def ensure_data(session: Session, event: WebhookEvent) -> None:
    """Fill in the `data` of a locked event that has none yet: made once, the same ever after."""
    if event.data is None:
        store_data(session, event, _data(session, event))


def _data(session: Session, event: WebhookEvent) -> dict[str, Any]:
    """Return the job or catalog as the API shows it; of other events, their subject."""
    if event.type in _JOB_EVENTS:
        view = get_job(session, event.tenant_id, UUID(event.subject["job_id"]))
        if view is not None:  # else it was deleted meanwhile
            return job_body(view).model_dump(mode="json")
    if event.type == EventType.CATALOG_COMPLETED:
        catalog = get_catalog(session, event.tenant_id, UUID(event.subject["catalog_id"]))
        if catalog is not None:
            return catalog_body(catalog).model_dump(mode="json")
    return event.subject


def event_payload(event: WebhookEvent) -> dict[str, Any] | None:
    """Return the JSON object that is sent; None before the first attempt."""
    if event.data is None:
        return None
    return {"type": event.type, "timestamp": _rfc3339(event.created_at), "data": event.data}


def event_body(event: WebhookEvent) -> bytes:
    """Return the exact bytes that are signed and sent, of an event that has its data."""
    payload = event_payload(event)
    if payload is None:
        raise ValueError("the event has no data yet")
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
