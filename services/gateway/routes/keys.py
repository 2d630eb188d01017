"""`/keys`: the API keys of the caller's own tenant."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from services.gateway.access.auth import Admin
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.openapi.document import keyed_docs
from services.gateway.openapi.examples import keys as key_examples
from shared.contracts.scopes import Scope
from shared.contracts.wire.keys import (
    ApiKey,
    ApiKeyList,
    ApiKeyRotation,
    ApiKeyStatus,
    CreatedApiKey,
    NewApiKey,
    RotatedApiKey,
)
from shared.db.tenants import keys
from shared.db.tenants.keys import IssuedKey, KeyInfo

router = APIRouter(tags=["keys"])

_BODY_PROBLEMS = (
    problems.MALFORMED_REQUEST,
    problems.UPLOAD_TIMEOUT,
    problems.TOO_LARGE,
    problems.INVALID_REQUEST,
)
_BY_ID = (problems.NOT_FOUND, problems.INVALID_REQUEST)
_DEFAULT_ROTATION = ApiKeyRotation()
_LOCATION = {"Location": {"description": "Path of the key.", "schema": {"type": "string"}}}


def _answer(example: object) -> dict[str, object]:
    return {"content": {"application/json": {"example": example}}}


def _body(example: object) -> dict[str, object]:
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


def key_body(info: KeyInfo) -> ApiKey:
    """Return what the API shows of a key."""
    status = ApiKeyStatus.EXPIRED if info.expired else ApiKeyStatus.ACTIVE
    return ApiKey(
        id=info.id,
        name=info.name,
        prefix=info.prefix,
        scopes=[Scope(scope) for scope in info.scopes],
        status=ApiKeyStatus.REVOKED if info.revoked_at else status,
        created_at=info.created_at,
        last_used_at=info.last_used_at,
        expires_at=info.expires_at,
        revoked_at=info.revoked_at,
    )


def _no_such_key(key_id: UUID) -> problems.ProblemError:
    return problems.ProblemError(problems.NOT_FOUND, f"there is no key {key_id}")


@router.post(
    "/keys",
    operation_id="create_key",
    summary="Create an API key",
    description="For the caller's own tenant. The key itself is in this answer and nowhere else:"
    " only its hash is stored.",
    status_code=201,
    response_description="The key and what it may do.",
    responses={
        201: {"headers": _LOCATION, **_answer(key_examples.CREATED_KEY)},
        **keyed_docs(*_BODY_PROBLEMS),
    },
    openapi_extra=_body(key_examples.NEW_KEY),
)
async def create_key(
    new: NewApiKey, response: Response, gateway: GatewayDep, caller: Admin
) -> CreatedApiKey:
    """Make a key of the caller's tenant."""
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        error = {"field": "expires_at", "code": "in_the_past", "detail": "the time has passed"}
        detail = "expires_at: the time has passed"
        raise problems.ProblemError(problems.INVALID_REQUEST, detail, [error])
    scopes = list(dict.fromkeys(new.scopes))

    def work(session: Session) -> IssuedKey:
        return keys.issue_key(session, caller.tenant_id, new.name, scopes, new.expires_at)

    issued = await gateway.in_database(work)
    response.headers["Location"] = f"/keys/{issued.info.id}"
    response.headers["Cache-Control"] = "no-store"
    return CreatedApiKey(**dict(key_body(issued.info)), key=issued.key)


@router.get(
    "/keys",
    operation_id="list_keys",
    summary="List API keys",
    response_description="The tenant's keys, oldest first.",
    responses={
        200: _answer(key_examples.KEY_LIST),
        **keyed_docs(problems.INVALID_REQUEST),
    },
)
async def list_keys(
    gateway: GatewayDep,
    caller: Admin,
    include_inactive: Annotated[
        bool, Query(description="Revoked and expired keys as well.")
    ] = False,
) -> ApiKeyList:
    """List the keys of the caller's tenant; there are few, so there are no pages."""
    infos = await gateway.in_database(
        functools.partial(
            keys.list_keys, tenant_id=caller.tenant_id, active_only=not include_inactive
        )
    )
    return ApiKeyList(data=[key_body(info) for info in infos])


@router.get(
    "/keys/{key_id}",
    operation_id="get_key",
    summary="Read an API key",
    response_description="The key as it stands, without the key itself.",
    responses={200: _answer(key_examples.KEY), **keyed_docs(*_BY_ID)},
)
async def get_key(key_id: UUID, gateway: GatewayDep, caller: Admin) -> ApiKey:
    """Read one key of the caller's tenant."""
    info = await gateway.in_database(
        functools.partial(keys.get_key, tenant_id=caller.tenant_id, key_id=key_id)
    )
    if info is None:
        raise _no_such_key(key_id)
    return key_body(info)


@router.delete(
    "/keys/{key_id}",
    operation_id="revoke_key",
    summary="Revoke an API key",
    description="It is refused from now on. Called again, it changes nothing and answers the same"
    " way. A key may revoke itself; `detector keys create` makes a first one again.",
    status_code=204,
    response_description="The key is revoked.",
    responses=keyed_docs(*_BY_ID),
)
async def revoke_key(key_id: UUID, gateway: GatewayDep, caller: Admin) -> None:
    """Revoke one key of the caller's tenant."""

    def work(session: Session) -> KeyInfo | None:
        keys.revoke_key(session, key_id, caller.tenant_id)
        return keys.get_key(session, caller.tenant_id, key_id)

    if await gateway.in_database(work) is None:
        raise _no_such_key(key_id)


@router.post(
    "/keys/{key_id}/rotate",
    operation_id="rotate_key",
    summary="Rotate an API key",
    description="Makes a successor with the same name, scopes and time of expiry. The old key is"
    " accepted for `grace_seconds` more, never longer than it would have been.",
    status_code=201,
    response_description="The successor, with the key itself, and the key that it replaces.",
    responses={
        201: {"headers": _LOCATION, **_answer(key_examples.ROTATED_KEY)},
        **keyed_docs(*_BODY_PROBLEMS, problems.NOT_FOUND, problems.KEY_NOT_ACTIVE),
    },
    openapi_extra=_body(key_examples.ROTATION),
)
async def rotate_key(
    key_id: UUID,
    response: Response,
    gateway: GatewayDep,
    caller: Admin,
    rotation: ApiKeyRotation = _DEFAULT_ROTATION,
) -> RotatedApiKey:
    """Replace one key of the caller's tenant."""
    grace = timedelta(seconds=rotation.grace_seconds)

    def work(session: Session) -> tuple[IssuedKey | None, KeyInfo | None]:
        issued = keys.rotate_key(session, key_id, grace, caller.tenant_id)
        return issued, keys.get_key(session, caller.tenant_id, key_id)

    issued, old = await gateway.in_database(work)
    if old is None:
        raise _no_such_key(key_id)
    if issued is None:
        raise problems.ProblemError(problems.KEY_NOT_ACTIVE, f"the key {key_id} is not active")
    response.headers["Location"] = f"/keys/{issued.info.id}"
    response.headers["Cache-Control"] = "no-store"
    return RotatedApiKey(**dict(key_body(issued.info)), key=issued.key, replaces=key_body(old))
