"""Webhook events: written in the transaction in which the thing happens, so none is lost (G3)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.events import EventType
from shared.contracts.tasks import CHANNEL_WEBHOOK_DUE
from shared.core.ids import new_id


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Something that happened to a tenant.

    Attributes:
        subject: JSON object of what it is about; `shared.present.events` makes the body of it.
        url: Told besides the registered endpoints: the `webhook_url` of a job or catalog.
        id: Also the `webhook-id` of every attempt.
    """

    tenant_id: UUID
    type: EventType
    subject: dict[str, Any]
    url: str | None = None
    id: UUID = field(default_factory=new_id)


# The endpoint whose secret signs calls of a `webhook_url`; made when first needed.
ENSURE_DEFAULT = text("""
INSERT INTO webhook_endpoints (id, tenant_id, is_default)
SELECT id, tenant_id, true FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]))
    AS wanted(id, tenant_id)
ON CONFLICT (tenant_id) WHERE is_default DO NOTHING
""")

# FOR KEY SHARE: an endpoint deleted at this moment is waited for and left out; without the lock its
# foreign key would fail the transaction in which a verdict is written.
_EMIT = text("""
WITH new AS (
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:tenants AS uuid[]), CAST(:types AS text[]),
        CAST(:subjects AS text[]), CAST(:urls AS text[])) AS n(id, tenant_id, type, subject, url)),
noted AS (
    INSERT INTO webhook_events (id, tenant_id, type, subject)
    SELECT id, tenant_id, type, CAST(subject AS jsonb) FROM new),
targets AS (
    SELECT new.id AS event_id, endpoint.id AS endpoint_id, new.tenant_id,
        CASE WHEN endpoint.is_default THEN new.url END AS url
    FROM new JOIN webhook_endpoints endpoint ON endpoint.tenant_id = new.tenant_id
    WHERE endpoint.status = 'enabled' AND CASE WHEN endpoint.is_default THEN new.url IS NOT NULL
        ELSE endpoint.events = '{}' OR new.type = ANY(endpoint.events) END
    FOR KEY SHARE OF endpoint),
fanned AS (
    INSERT INTO webhook_deliveries (id, event_id, endpoint_id, tenant_id, url)
    SELECT gen_random_uuid(), event_id, endpoint_id, tenant_id, url FROM targets RETURNING id)
SELECT pg_notify(:channel, '') FROM (SELECT id FROM fanned LIMIT 1) AS one
""")


def emit(
    session: Session,
    tenant_id: UUID,
    kind: EventType,
    subject: dict[str, Any],
    url: str | None = None,
) -> UUID:
    """Note that something happened and queue its deliveries; returns the event's id.

    They go to the tenant's enabled endpoints that want this type, and to `url` when it is given.
    The dispatcher is woken at commit.
    """
    event = NewEvent(tenant_id, kind, subject, url)
    emit_many(session, [event])
    return event.id


def emit_many(session: Session, events: Sequence[NewEvent]) -> None:
    """As `emit`, for many events in one statement."""
    if not events:
        return
    # In tenant order: two transactions that make the same default endpoints cannot deadlock.
    with_url = sorted({event.tenant_id for event in events if event.url is not None})
    if with_url:
        session.execute(ENSURE_DEFAULT, {"ids": [new_id() for _ in with_url], "tenants": with_url})
    session.execute(
        _EMIT,
        {
            "ids": [event.id for event in events],
            "tenants": [event.tenant_id for event in events],
            "types": [event.type.value for event in events],
            "subjects": [json.dumps(event.subject) for event in events],
            "urls": [event.url for event in events],
            "channel": CHANNEL_WEBHOOK_DUE,
        },
    )
