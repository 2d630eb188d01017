"""`/webhooks`: where a tenant wants events, and the secrets that sign them."""

import functools
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy.orm import Session

from services.gateway.access.auth import require
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.openapi.document import keyed_docs
from services.gateway.openapi.examples import webhooks as webhook_examples
from services.gateway.openapi.examples.webhooks import json_answer, json_body
from shared.contracts.scopes import Scope
from shared.contracts.wire.webhooks import (
    CreatedWebhook,
    NewWebhook,
    Rotation,
    Webhook,
    WebhookChanges,
    WebhookList,
    WebhookSecrets,
)
from shared.db.models import WebhookEndpoint
from shared.db.tenants.keys import Principal
from shared.db.webhooks import endpoints as webhooks
from shared.keys.signing_secrets import SecretBox, new_secret
from shared.present.webhooks import secrets_body, webhook_body

router = APIRouter(tags=["webhooks"])

Manager = Annotated[Principal, Depends(require(Scope.WEBHOOKS))]
# The default endpoint has no URL of its own: it signs the calls of jobs' `webhook_url`.
EndpointRef = Annotated[
    UUID | Literal["default"],
    Path(description="A webhook's id, or `default` for the one behind jobs' `webhook_url`."),
]
BODY_PROBLEMS = (
    problems.MALFORMED_REQUEST,
    problems.UPLOAD_TIMEOUT,
    problems.TOO_LARGE,
    problems.INVALID_REQUEST,
)


def no_such_webhook(ref: UUID | str) -> problems.ProblemError:
    """The tenant has no webhook of this id."""
    return problems.ProblemError(problems.NOT_FOUND, f"there is no webhook {ref}")


def find_endpoint(
    session: Session, tenant_id: UUID, ref: UUID | str, *, lock: bool = False
) -> WebhookEndpoint:
    """Return the tenant's endpoint; raises ProblemError (404)."""
    if isinstance(ref, str):
        return webhooks.default_endpoint(session, tenant_id)
    endpoint = webhooks.get_endpoint(session, tenant_id, ref, lock=lock)
    if endpoint is None:
        raise no_such_webhook(ref)
    return endpoint


@router.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Register a webhook",
    description="Events of the wanted types are sent to `url` from now on, signed with `secret`"
    " (Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`).",
    status_code=201,
    response_description="The webhook with its signing secret.",
    responses={
        201: {
            "headers": {
                "Location": {"description": "Path of the webhook.", "schema": {"type": "string"}}
            },
            **json_answer(webhook_examples.CREATED_WEBHOOK),
        },
        **keyed_docs(*BODY_PROBLEMS, problems.TOO_MANY_WEBHOOKS),
    },
    openapi_extra=json_body(webhook_examples.NEW_WEBHOOK),
)
async def create_webhook(
    new: NewWebhook, response: Response, gateway: GatewayDep, caller: Manager
) -> CreatedWebhook:
    """Check the URL, make a secret, store both."""
    url = gateway.webhooks.check_url(new.url)
    secret = new_secret()
    sealed = gateway.webhooks.box.seal(secret)
    limit = gateway.settings.gateway_max_webhooks

    def work(session: Session) -> WebhookEndpoint:
        if webhooks.count_endpoints(session, caller.tenant_id) >= limit:
            raise problems.ProblemError(
                problems.TOO_MANY_WEBHOOKS, f"at most {limit} webhooks of one tenant"
            )
        return webhooks.create_endpoint(
            session, caller.tenant_id, url, new.events, new.description, sealed
        )

    endpoint = await gateway.in_database(work)
    response.headers["Location"] = f"/webhooks/{endpoint.id}"
    return CreatedWebhook(**dict(webhook_body(endpoint)), secret=secret)


@router.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="List webhooks",
    response_description="All of them, oldest first; the default one is not among them.",
    responses={200: json_answer(webhook_examples.WEBHOOK_LIST), **keyed_docs()},
)
async def list_webhooks(gateway: GatewayDep, caller: Manager) -> WebhookList:
    """List the tenant's endpoints; there are few, so there are no pages."""

    def work(session: Session) -> list[WebhookEndpoint]:
        return webhooks.list_endpoints(session, caller.tenant_id)

    return WebhookList(data=[webhook_body(row) for row in await gateway.in_database(work)])


@router.get(
    "/webhooks/{webhook_id}",
    operation_id="get_webhook",
    summary="Read a webhook",
    response_description="The webhook as it stands.",
    responses={
        200: json_answer(webhook_examples.WEBHOOK),
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_webhook(webhook_id: EndpointRef, gateway: GatewayDep, caller: Manager) -> Webhook:
    """Read one endpoint."""

    def work(session: Session) -> WebhookEndpoint:
        return find_endpoint(session, caller.tenant_id, webhook_id)

    return webhook_body(await gateway.in_database(work))


@router.patch(
    "/webhooks/{webhook_id}",
    operation_id="change_webhook",
    summary="Change a webhook",
    description="What is left out stays as it is. `status: disabled` ends pending deliveries as"
    " failed; after `status: enabled`, `recover` sends what was missed.",
    response_description="The webhook as it is now.",
    responses={
        200: json_answer(webhook_examples.WEBHOOK),
        **keyed_docs(*BODY_PROBLEMS, problems.NOT_FOUND),
    },
    openapi_extra=json_body(webhook_examples.CHANGES),
)
async def change_webhook(
    webhook_id: UUID, wanted: WebhookChanges, gateway: GatewayDep, caller: Manager
) -> Webhook:
    """Apply the changes."""
    url = None if wanted.url is None else gateway.webhooks.check_url(wanted.url)
    changes = webhooks.EndpointChanges(url, wanted.events, wanted.description, wanted.status)

    def work(session: Session) -> WebhookEndpoint:
        endpoint = find_endpoint(session, caller.tenant_id, webhook_id, lock=True)
        if endpoint.is_default:
            raise no_such_webhook(webhook_id)
        webhooks.update_endpoint(session, endpoint, changes)
        return endpoint

    return webhook_body(await gateway.in_database(work))


@router.delete(
    "/webhooks/{webhook_id}",
    operation_id="delete_webhook",
    summary="Delete a webhook",
    description="With its secrets and its delivery log. Nothing more is sent there.",
    status_code=204,
    response_description="It is gone.",
    responses=keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
)
async def delete_webhook(webhook_id: UUID, gateway: GatewayDep, caller: Manager) -> None:
    """Delete it."""

    def work(session: Session) -> bool:
        return webhooks.delete_endpoint(session, caller.tenant_id, webhook_id)

    if not await gateway.in_database(work):
        raise no_such_webhook(webhook_id)


@router.get(
    "/webhooks/{webhook_id}/secret",
    operation_id="get_webhook_secret",
    summary="Read a webhook's signing secret",
    description="`default` gives the secret that signs the calls of jobs' `webhook_url`.",
    response_description="The current secret, and those that still sign beside it.",
    responses={
        200: json_answer(webhook_examples.SECRETS),
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_webhook_secret(
    webhook_id: EndpointRef, gateway: GatewayDep, caller: Manager
) -> WebhookSecrets:
    """Decrypt the secrets; a default endpoint's first one is made here when there is none."""
    return await gateway.in_database(
        functools.partial(_secrets, gateway.webhooks.box, caller.tenant_id, webhook_id)
    )


def _secrets(box: SecretBox, tenant_id: UUID, ref: UUID | str, session: Session) -> WebhookSecrets:
    endpoint = find_endpoint(session, tenant_id, ref)
    rows = webhooks.ensure_secret(session, endpoint.id, lambda: box.seal(new_secret()))
    return secrets_body(box, rows)


@router.post(
    "/webhooks/{webhook_id}/rotate",
    operation_id="rotate_webhook_secret",
    summary="Change a webhook's signing secret",
    description="For `grace_seconds` every delivery carries a signature of each secret, so that a"
    " receiver can change over at its own time.",
    response_description="The new secret, and those that still sign beside it.",
    responses={
        200: json_answer(webhook_examples.ROTATED),
        **keyed_docs(*BODY_PROBLEMS, problems.NOT_FOUND),
    },
    openapi_extra=json_body(webhook_examples.ROTATION),
)
async def rotate_webhook_secret(
    webhook_id: EndpointRef,
    gateway: GatewayDep,
    caller: Manager,
    rotation: Rotation | None = None,
) -> WebhookSecrets:
    """Make a new secret the current one."""
    grace = (rotation or Rotation()).grace_seconds
    box = gateway.webhooks.box

    def work(session: Session) -> WebhookSecrets:
        endpoint = find_endpoint(session, caller.tenant_id, webhook_id)
        webhooks.get_endpoint(session, caller.tenant_id, endpoint.id, lock=True)
        sealed = box.seal(new_secret())
        return secrets_body(box, webhooks.rotate_secret(session, endpoint.id, sealed, grace))

    return await gateway.in_database(work)
