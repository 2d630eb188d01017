"""`/webhooks/{id}/…`: the delivery log, trying a webhook, and sending again."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session

from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.http.cursors import place_of
from services.gateway.http.pages import Cursor, PageLimit, page_end
from services.gateway.openapi.document import keyed_docs
from services.gateway.openapi.examples import webhooks as webhook_examples
from services.gateway.openapi.examples.webhooks import json_answer, json_body
from services.gateway.routes.webhooks import BODY_PROBLEMS, EndpointRef, Manager, find_endpoint
from shared.contracts.events import DeliveryStatus, EndpointStatus
from shared.contracts.wire.job_requests import DEFAULT_PAGE
from shared.contracts.wire.webhooks import (
    Delivery,
    DeliveryDetail,
    DeliveryPage,
    Recovered,
    Recovery,
)
from shared.db.models import WebhookEndpoint
from shared.db.paging import Place
from shared.db.webhooks import deliveries, delivery_log
from shared.db.webhooks.delivery_log import DeliveryView
from shared.present.webhooks import delivery_body, delivery_detail

router = APIRouter(tags=["webhooks"])


def _enabled(session: Session, tenant_id: UUID, ref: UUID | str) -> WebhookEndpoint:
    endpoint = find_endpoint(session, tenant_id, ref)
    if endpoint.status != EndpointStatus.ENABLED:
        raise problems.ProblemError(
            problems.WEBHOOK_DISABLED, f"webhook {ref}: {endpoint.disabled_reason}"
        )
    return endpoint


def _delivery(session: Session, endpoint: WebhookEndpoint, delivery_id: UUID) -> DeliveryView:
    view = delivery_log.get_delivery(session, endpoint.id, delivery_id)
    if view is None:
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no delivery {delivery_id}")
    return view


@router.post(
    "/webhooks/{webhook_id}/test",
    operation_id="test_webhook",
    summary="Send a test event",
    description="An `endpoint.test` event goes to this webhook alone, whatever types it wants, and"
    " is retried like any other. Read the delivery to see what the receiver answered.",
    status_code=202,
    response_description="The delivery that was queued.",
    responses={
        202: json_answer(webhook_examples.QUEUED_DELIVERY),
        **keyed_docs(problems.NOT_FOUND, problems.WEBHOOK_DISABLED, problems.INVALID_REQUEST),
    },
)
async def test_webhook(webhook_id: UUID, gateway: GatewayDep, caller: Manager) -> Delivery:
    """Queue the event."""

    def work(session: Session) -> Delivery:
        endpoint = _enabled(session, caller.tenant_id, webhook_id)
        if endpoint.is_default:
            raise problems.ProblemError(problems.NOT_FOUND, f"there is no webhook {webhook_id}")
        subject = {"webhook_id": str(endpoint.id), "message": "This is a test event."}
        made = deliveries.send_test(session, caller.tenant_id, endpoint.id, subject)
        return delivery_body(_delivery(session, endpoint, made))

    return await gateway.in_database(work)


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    operation_id="list_deliveries",
    summary="Read the delivery log",
    description="Newest first, each with its last attempt. Kept for 30 days by default.",
    response_description="One page of deliveries.",
    responses={
        200: json_answer(webhook_examples.DELIVERY_PAGE),
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def list_deliveries(
    request: Request,
    webhook_id: EndpointRef,
    gateway: GatewayDep,
    caller: Manager,
    status: Annotated[DeliveryStatus | None, Query(description="Only these.")] = None,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> DeliveryPage:
    """Read one page."""
    after = place_of(cursor)

    def work(session: Session) -> list[DeliveryView]:
        endpoint = find_endpoint(session, caller.tenant_id, webhook_id)
        # One more than asked for tells whether there is another page.
        return delivery_log.list_deliveries(session, endpoint.id, limit + 1, status, after)

    found = await gateway.in_database(work)
    following = None
    if len(found) > limit:
        last = found[limit - 1].delivery
        following = Place(last.created_at, last.id)
    end = page_end(f"/webhooks/{webhook_id}/deliveries", request, ("status",), following)
    data = [delivery_body(view) for view in found[:limit]]
    return DeliveryPage(data=data, next_cursor=end.next_cursor, links=end.links)


@router.get(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}",
    operation_id="get_delivery",
    summary="Read one delivery",
    response_description="The delivery with its body and every attempt.",
    responses={
        200: json_answer(webhook_examples.DELIVERY_DETAIL),
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_delivery(
    webhook_id: EndpointRef, delivery_id: UUID, gateway: GatewayDep, caller: Manager
) -> DeliveryDetail:
    """Read it."""

    def work(session: Session) -> DeliveryDetail:
        endpoint = find_endpoint(session, caller.tenant_id, webhook_id)
        return delivery_detail(_delivery(session, endpoint, delivery_id))

    return await gateway.in_database(work)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
    operation_id="replay_delivery",
    summary="Send one delivery again",
    description="At once and with a new schedule, whatever became of it; the `webhook-id` stays.",
    status_code=202,
    response_description="The delivery, on its way again.",
    responses={
        202: json_answer(webhook_examples.QUEUED_DELIVERY),
        **keyed_docs(problems.NOT_FOUND, problems.WEBHOOK_DISABLED, problems.INVALID_REQUEST),
    },
)
async def replay_delivery(
    webhook_id: EndpointRef, delivery_id: UUID, gateway: GatewayDep, caller: Manager
) -> Delivery:
    """Begin its schedule anew."""

    def work(session: Session) -> Delivery:
        endpoint = _enabled(session, caller.tenant_id, webhook_id)
        deliveries.replay(session, endpoint.id, delivery_id)
        return delivery_body(_delivery(session, endpoint, delivery_id))

    return await gateway.in_database(work)


@router.post(
    "/webhooks/{webhook_id}/recover",
    operation_id="recover_webhook",
    summary="Send what was missed",
    description="Every event of the window that this webhook wants and has not received is sent"
    " again: failed deliveries, and events from while it was disabled or not yet registered."
    " `webhook-id`s stay, so a receiver that keeps them sees nothing twice.",
    status_code=202,
    response_description="How many are on their way.",
    responses={
        202: json_answer(webhook_examples.RECOVERED),
        **keyed_docs(*BODY_PROBLEMS, problems.NOT_FOUND, problems.WEBHOOK_DISABLED),
    },
    openapi_extra=json_body(webhook_examples.RECOVERY),
)
async def recover_webhook(
    webhook_id: EndpointRef, window: Recovery, gateway: GatewayDep, caller: Manager
) -> Recovered:
    """Queue them."""

    def work(session: Session) -> Recovered:
        endpoint = _enabled(session, caller.tenant_id, webhook_id)
        count = deliveries.recover(session, endpoint.id, window.since, window.until)
        return Recovered(deliveries=count)

    return await gateway.in_database(work)
