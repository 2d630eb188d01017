"""`/webhooks`: where events go, the secrets that sign them, and what became of deliveries."""

from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

from shared.client.jobs import with_cursor
from shared.client.pages import items
from shared.client.transport import Transport
from shared.contracts.events import DeliveryStatus
from shared.contracts.wire.job_requests import MAX_PAGE
from shared.contracts.wire.webhooks import (
    CreatedWebhook,
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    NewWebhook,
    Recovered,
    Recovery,
    Rotation,
    Webhook,
    WebhookChanges,
    WebhookList,
    WebhookSecrets,
)

# `default` is the endpoint behind the `webhook_url` of jobs and catalogs.
WebhookRef = UUID | Literal["default"]


class Webhooks:
    """Calls of the webhooks API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, new: NewWebhook) -> CreatedWebhook:
        """Register a receiver; the answer holds its signing secret."""
        return self._transport.send_for("POST", "/webhooks", CreatedWebhook, new)

    def list(self) -> list[Webhook]:
        """Return all receivers, oldest first, without the default one."""
        return self._transport.get("/webhooks", WebhookList).data

    def get(self, ref: WebhookRef) -> Webhook:
        """Return one receiver."""
        return self._transport.get(f"/webhooks/{ref}", Webhook)

    def change(self, webhook_id: UUID, changes: WebhookChanges) -> Webhook:
        """Change what `changes` sets; what it leaves out stays."""
        return self._transport.send_for("PATCH", f"/webhooks/{webhook_id}", Webhook, changes)

    def delete(self, webhook_id: UUID) -> None:
        """Remove the receiver with its secrets and its delivery log."""
        self._transport.send("DELETE", f"/webhooks/{webhook_id}")

    def secret(self, ref: WebhookRef) -> WebhookSecrets:
        """Return the secrets that sign now."""
        return self._transport.get(f"/webhooks/{ref}/secret", WebhookSecrets)

    def rotate(self, ref: WebhookRef, rotation: Rotation | None = None) -> WebhookSecrets:
        """Make a new secret; the old one signs too for the grace period."""
        return self._transport.send_for("POST", f"/webhooks/{ref}/rotate", WebhookSecrets, rotation)

    def test(self, webhook_id: UUID) -> Delivery:
        """Queue a test event for this receiver alone."""
        return self._transport.send_for("POST", f"/webhooks/{webhook_id}/test", Delivery)

    def deliveries(
        self, ref: WebhookRef, *, status: DeliveryStatus | None = None, page_size: int = MAX_PAGE
    ) -> Iterator[Delivery]:
        """Yield deliveries, the newest first, reading page after page as needed."""
        query: dict[str, Any] = {"limit": page_size}
        if status is not None:
            query["status"] = status.value

        def read(cursor: str | None) -> DeliveryPage:
            path = f"/webhooks/{ref}/deliveries"
            return self._transport.get(path, DeliveryPage, with_cursor(query, cursor))

        return items(read)

    def delivery(self, ref: WebhookRef, delivery_id: UUID) -> DeliveryDetail:
        """Return one delivery with its body and every attempt."""
        return self._transport.get(f"/webhooks/{ref}/deliveries/{delivery_id}", DeliveryDetail)

    def replay(self, ref: WebhookRef, delivery_id: UUID) -> Delivery:
        """Send one delivery again, under the same `webhook-id`."""
        path = f"/webhooks/{ref}/deliveries/{delivery_id}/replay"
        return self._transport.send_for("POST", path, Delivery)

    def recover(self, ref: WebhookRef, window: Recovery) -> Recovered:
        """Send every event of the window that this receiver missed."""
        return self._transport.send_for("POST", f"/webhooks/{ref}/recover", Recovered, window)
