"""The delivery log as clients read it, and an event's stored body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from shared.contracts.events import DeliveryStatus
from shared.db.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from shared.db.paging import Place


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A delivery with what it delivers, where to, and its attempts as far as they were asked for.

    Attributes:
        url: where it goes; of an endpoint, where that is now.
        attempts: oldest first.
    """

    delivery: WebhookDelivery
    event: WebhookEvent
    url: str | None
    attempts: Sequence[WebhookAttempt]


_SELECT: Select[WebhookDelivery, WebhookEvent, str] = (
    select(WebhookDelivery, WebhookEvent, func.coalesce(WebhookDelivery.url, WebhookEndpoint.url))
    .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
    .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
)


def list_deliveries(
    session: Session,
    endpoint_id: UUID,
    limit: int,
    status: DeliveryStatus | None = None,
    after: Place | None = None,
) -> list[DeliveryView]:
    """Return up to `limit` deliveries, newest first, each with its last attempt only."""
    order = (WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc())
    query = _SELECT.where(WebhookDelivery.endpoint_id == endpoint_id)
    if status is not None:
        query = query.where(WebhookDelivery.status == status.value)
    if after is not None:
        place = (after.created_at, after.id)
        query = query.where(tuple_(WebhookDelivery.created_at, WebhookDelivery.id) < place)
    rows = session.execute(query.order_by(*order).limit(limit)).all()
    last = _last_attempts(session, [delivery.id for delivery, _, _ in rows])
    return [
        DeliveryView(delivery, event, url, last.get(delivery.id, []))
        for delivery, event, url in rows
    ]


def _last_attempts(
    session: Session, delivery_ids: Sequence[UUID]
) -> dict[UUID, list[WebhookAttempt]]:
    rows = session.execute(
        select(WebhookAttempt)
        .ext(distinct_on(WebhookAttempt.delivery_id))
        .where(WebhookAttempt.delivery_id.in_(delivery_ids))
        .order_by(WebhookAttempt.delivery_id, WebhookAttempt.id.desc())
    )
    return {attempt.delivery_id: [attempt] for attempt in rows.scalars()}


def get_delivery(session: Session, endpoint_id: UUID, delivery_id: UUID) -> DeliveryView | None:
    """Return the endpoint's delivery with every attempt; None when there is none."""
    row = session.execute(
        _SELECT.where(WebhookDelivery.id == delivery_id, WebhookDelivery.endpoint_id == endpoint_id)
    ).one_or_none()
    if row is None:
        return None
    attempts = session.execute(
        select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id == delivery_id)
        .order_by(WebhookAttempt.id)
    )
    delivery, event, url = row
    return DeliveryView(delivery, event, url, attempts.scalars().all())


def lock_event(session: Session, event_id: UUID) -> WebhookEvent | None:
    """Return the event, locked: of deliveries that begin at once, one makes the body."""
    return session.execute(
        select(WebhookEvent).where(WebhookEvent.id == event_id).with_for_update(key_share=True)
    ).scalar_one_or_none()


def store_data(session: Session, event: WebhookEvent, data: dict[str, Any]) -> None:
    """Keep the body's `data` of a locked event; it reads back as PostgreSQL wrote it."""
    event.data = data
    session.flush()
    session.refresh(event)
