"""Rows of webhooks to the JSON that clients see."""

import contextlib
from collections.abc import Sequence

from shared.contracts.events import DeliveryStatus, EndpointStatus, EventType
from shared.contracts.wire.webhooks import (
    Attempt,
    Delivery,
    DeliveryDetail,
    PreviousSecret,
    Webhook,
    WebhookSecrets,
)
from shared.db.models import WebhookAttempt, WebhookEndpoint, WebhookSecret
from shared.db.webhooks.delivery_log import DeliveryView
from shared.keys.signing_secrets import SecretBox, SecretUnreadable
from shared.present.events import event_payload


def webhook_body(endpoint: WebhookEndpoint) -> Webhook:
    """Return an endpoint as the API shows it."""
    return Webhook(
        id=endpoint.id,
        url=endpoint.url,
        is_default=endpoint.is_default,
        description=endpoint.description,
        events=[EventType(name) for name in endpoint.events],
        status=EndpointStatus(endpoint.status),
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
    )


def secrets_body(box: SecretBox, rows: Sequence[WebhookSecret]) -> WebhookSecrets:
    """Return an endpoint's secrets in the clear, the current one apart.

    Raises SecretUnreadable when that cannot be read; earlier ones that cannot be are left out.
    """
    current, *earlier = rows
    previous: list[PreviousSecret] = []
    for row in earlier:
        if row.expires_at is not None:
            with contextlib.suppress(SecretUnreadable):
                secret = box.open(row.ciphertext)
                previous.append(PreviousSecret(secret=secret, expires_at=row.expires_at))
    return WebhookSecrets(secret=box.open(current.ciphertext), previous=previous)


def delivery_body(view: DeliveryView) -> Delivery:
    """Return a delivery as listings show it."""
    row = view.delivery
    return Delivery(
        id=row.id,
        event_id=row.event_id,
        event_type=EventType(view.event.type),
        url=view.url,
        status=DeliveryStatus(row.status),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        finished_at=row.finished_at,
        last_attempt=_attempt(view.attempts[-1]) if view.attempts else None,
    )


def delivery_detail(view: DeliveryView) -> DeliveryDetail:
    """Return a delivery with its log and body."""
    return DeliveryDetail(
        **dict(delivery_body(view)),
        log=[_attempt(attempt) for attempt in view.attempts],
        payload=event_payload(view.event),
    )


def _attempt(row: WebhookAttempt) -> Attempt:
    return Attempt(
        attempted_at=row.attempted_at,
        status_code=row.status_code,
        latency_ms=round(row.latency_ms, 1),
        response_body=row.response_body,
        error=row.error,
    )
