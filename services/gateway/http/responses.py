"""Problems as HTTP responses, and the handlers that turn every exception into one."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from services.gateway.http.facts import facts_of
from services.gateway.http.problems import (
    DATABASE_UNAVAILABLE,
    INVALID_REQUEST,
    MALFORMED_REQUEST,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    STORAGE_UNAVAILABLE,
    ProblemError,
)
from shared.contracts.wire.jobs import Problem
from shared.core.errors import StorageError
from shared.core.logging import get_logger

_PARAMETER = re.compile(r"\{[^}]+\}")

log = get_logger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
_STORAGE_RETRY_SECONDS = 5
_DATABASE_RETRY_SECONDS = 2


def problem_response(error: ProblemError, scope: Scope) -> JSONResponse:
    """Render `error` as the answer to the request of `scope`."""
    facts = facts_of(scope)
    facts.problem = error.kind.slug
    body = Problem(
        type=error.kind.type,
        title=error.kind.title,
        status=error.kind.status,
        detail=error.detail,
        instance=scope["path"],
        errors=list(error.errors),
        request_id=facts.request_id,
        **error.extensions,
    )
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status_code=error.kind.status,
        headers=dict(error.headers),
        media_type=PROBLEM_MEDIA_TYPE,
    )


def storage_unavailable() -> ProblemError:
    """The object store is away; nothing was accepted."""
    return ProblemError(
        STORAGE_UNAVAILABLE,
        "the photos could not be stored",
        headers={"Retry-After": str(_STORAGE_RETRY_SECONDS)},
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every exception below the routes with a problem; the rest is the middleware's."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(StorageError, _on_storage)
    for database_error in (OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(database_error, _on_database)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101  # registered for it alone
    return problem_response(error, request.scope)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    """Starlette's own: no route (404), wrong method (405)."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for it alone
    # FastAPI, reading a JSON body, hides what the upload guard raised behind a 400.
    if isinstance(error.__cause__, ProblemError):
        return problem_response(error.__cause__, request.scope)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        named = {each.strip() for each in headers.get("Allow", "").split(",") if each.strip()}
        headers["Allow"] = ", ".join(sorted(named | _allowed(request)))
    kinds = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}
    problem = ProblemError(
        kinds.get(error.status_code, MALFORMED_REQUEST),
        f"{request.method} {request.url.path}: {error.detail}",
        headers=headers,
    )
    return problem_response(problem, request.scope)


def _allowed(request: Request) -> set[str]:
    """Return the methods of all documented routes of the path; the router names one route's."""
    paths: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    return {
        method.upper()
        for template, operations in paths.items()
        if re.fullmatch(_PARAMETER.sub("[^/]+", template), request.url.path)
        for method in operations
    }


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for it alone
    errors = [_field_error(item) for item in error.errors()]
    detail = "; ".join(f"{item['field']}: {item['detail']}" for item in errors)
    return problem_response(ProblemError(INVALID_REQUEST, detail, errors), request.scope)


def _field_error(item: dict[str, Any]) -> dict[str, Any]:
    # The first element says path, query or body; the value itself is not repeated.
    field = ".".join(str(part) for part in item["loc"][1:])
    return {"field": field, "code": item["type"], "detail": item["msg"]}


async def _on_storage(request: Request, error: Exception) -> JSONResponse:
    log.warning("storage.unavailable", error=str(error))
    return problem_response(storage_unavailable(), request.scope)


async def _on_database(request: Request, error: Exception) -> JSONResponse:
    log.warning("database.unavailable", error=str(getattr(error, "orig", None) or error))
    problem = ProblemError(
        DATABASE_UNAVAILABLE,
        "the database did not answer",
        headers={"Retry-After": str(_DATABASE_RETRY_SECONDS)},
    )
    return problem_response(problem, request.scope)
