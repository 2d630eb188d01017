"""Webhooks and their deliveries as tables."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.cli.output import print_table
from services.cli.times import shown

if TYPE_CHECKING:
    from shared.contracts.wire.webhooks import Delivery, Webhook

_STATUS_STYLE = {"succeeded": "green", "failed": "red", "pending": "yellow"}


def print_webhooks(webhooks: "Iterable[Webhook]") -> None:
    """Print one row each."""
    print_table(
        ["id", "url", "events", "status", "failing since", "reason", "description"],
        map(_webhook_row, webhooks),
    )


def print_deliveries(deliveries: "Iterable[Delivery]") -> None:
    """Print one row each."""
    print_table(
        ["id", "created", "event", "status", "attempts", "next", "answer", "ms", "url"],
        map(_delivery_row, deliveries),
        right=["attempts", "ms"],
    )


def _webhook_row(webhook: "Webhook") -> list[tuple[str, str]]:
    return [
        (str(webhook.id), ""),
        (webhook.url or "each job's own", ""),
        (", ".join(webhook.events) or "all", ""),
        (webhook.status.value, "" if webhook.status == "enabled" else "red"),
        (shown(webhook.failing_since), "red"),
        (webhook.disabled_reason or "", "red"),
        (webhook.description, ""),
    ]


def _delivery_row(delivery: "Delivery") -> list[tuple[str, str]]:
    last = delivery.last_attempt
    answer = "" if last is None else str(last.status_code or last.error or "")
    return [
        (str(delivery.id), ""),
        (shown(delivery.created_at), "dim"),
        (delivery.event_type.value, ""),
        (delivery.status.value, _STATUS_STYLE[delivery.status.value]),
        (str(delivery.attempts), ""),
        (shown(delivery.next_attempt_at), "dim"),
        (answer, "red" if last and last.error else ""),
        (f"{last.latency_ms:.0f}" if last else "", ""),
        (delivery.url or "", "dim"),
    ]
