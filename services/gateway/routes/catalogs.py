"""`/catalogs`: bulk submissions."""

import functools
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from services.gateway.access.auth import CatalogCaller, CatalogSubmitter
from services.gateway.catalogs.accept import accept_catalog
from services.gateway.catalogs.export import MEDIA_TYPES, ExportFormat, ReadRows, Row, export
from services.gateway.catalogs.submission import TEXT_FIELDS, from_form, from_json
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.http.cursors import place_of
from services.gateway.http.facts import facts_of
from services.gateway.http.pages import Cursor, PageLimit, page_end
from services.gateway.openapi.document import json_body, keyed_docs, multipart_body
from services.gateway.openapi.examples.catalogs import (
    CATALOG_EXAMPLE,
    ERRORS_EXAMPLE,
    FORM_PROPERTIES,
    PAGE_EXAMPLE,
    RESULTS_EXAMPLE,
)
from services.gateway.uploads.form import media_type, open_form
from services.gateway.uploads.idempotency import REPLAYED_DOC, REPLAYED_HEADER, IdempotencyKey
from services.gateway.wiring import Gateway
from shared.contracts.catalogs import CatalogStatus
from shared.contracts.wire.catalogs import Catalog, CatalogPage, PrefixRequest
from shared.contracts.wire.job_requests import DEFAULT_PAGE
from shared.db import models
from shared.db.catalogs import rows as db
from shared.present.catalogs import catalog_body, catalog_path

router = APIRouter(tags=["catalogs"])

_RETRY_SECONDS = "2"
_RETRY_AFTER = {"description": "Seconds until a look is worth while.", "schema": {"type": "string"}}
_FORM = multipart_body(
    FORM_PROPERTIES, required=["file"], example={"file": "(bytes of november.csv)"}
)
_JSON = json_body(PrefixRequest, example={"s3_prefix": "2026-11/"})
_BODY = {"requestBody": {"required": True, "content": {**_FORM, **_JSON}}}
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": CATALOG_EXAMPLE}}}
}
_FORMAT = Annotated[ExportFormat, Query(description="What to download the rows as.")]


@router.post(
    "/catalogs",
    operation_id="submit_catalog",
    summary="Submit a catalog",
    description="As a file (multipart) or as a prefix of the import bucket (JSON). Answers 202 once"
    " it is stored; it is read and judged after that, behind all photos of `POST /jobs` and"
    " `POST /predict`.",
    status_code=202,
    response_description="The catalog was accepted.",
    responses={
        202: {
            "headers": {
                "Location": {"description": "Path of the catalog.", "schema": {"type": "string"}},
                "Retry-After": _RETRY_AFTER,
                **REPLAYED_DOC,
            },
            "content": {"application/json": {"example": CATALOG_EXAMPLE}},
        },
        **keyed_docs(
            problems.MALFORMED_REQUEST,
            problems.UPLOAD_TIMEOUT,
            problems.IDEMPOTENCY_KEY_REUSED,
            problems.TOO_LARGE,
            problems.TOO_MANY_IMAGES,
            problems.UNSUPPORTED_MEDIA_TYPE,
            problems.INVALID_REQUEST,
            problems.NO_IMAGES,
            problems.QUEUE_FULL,
            problems.STORAGE_UNAVAILABLE,
        ),
    },
    openapi_extra=_BODY,
)
async def submit_catalog(
    request: Request,
    response: Response,
    gateway: GatewayDep,
    caller: CatalogSubmitter,
    idempotency_key: IdempotencyKey = None,
) -> Catalog:
    """Store the file, write the catalog, answer with its place."""
    request_id = facts_of(request.scope).request_id
    tenant, receivers = caller.tenant_id, gateway.webhooks.guard
    if media_type(request) == "application/json":
        submission = await from_json(tenant, request_id, idempotency_key, request, receivers)
        accepted = await accept_catalog(gateway, submission)
    else:
        async with open_form(request, "file", TEXT_FIELDS, max_files=1) as form:
            submission = from_form(tenant, request_id, idempotency_key, form, receivers)
            accepted = await accept_catalog(gateway, submission)
    response.headers["Location"] = catalog_path(accepted.catalog.id)
    response.headers["Retry-After"] = _RETRY_SECONDS
    if accepted.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return catalog_body(accepted.catalog)


@router.get(
    "/catalogs",
    operation_id="list_catalogs",
    summary="List catalogs",
    description="Newest first. Pages are stable: `links.next` leads on.",
    response_description="One page of catalogs.",
    responses={
        200: {"content": {"application/json": {"example": PAGE_EXAMPLE}}},
        **keyed_docs(problems.INVALID_REQUEST),
    },
)
async def list_catalogs(
    request: Request,
    gateway: GatewayDep,
    caller: CatalogCaller,
    status: Annotated[
        list[CatalogStatus] | None, Query(description="One of these; repeat it for several.")
    ] = None,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> CatalogPage:
    """Read one page."""
    place = place_of(cursor)
    statuses = status or []

    def read(session: Session) -> db.CatalogPage:
        return db.list_catalogs(session, caller.tenant_id, statuses, limit, place)

    page = await gateway.in_database(read)
    end = page_end("/catalogs", request, ("status",), page.next)
    data = [catalog_body(catalog) for catalog in page.catalogs]
    return CatalogPage(data=data, next_cursor=end.next_cursor, links=end.links)


@router.get(
    "/catalogs/{catalog_id}",
    operation_id="get_catalog",
    summary="Read a catalog",
    description="Counts are refreshed every few seconds while it runs.",
    response_description="The catalog as it stands.",
    responses={**_ONE, **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST)},
)
async def get_catalog(
    catalog_id: UUID, response: Response, gateway: GatewayDep, caller: CatalogCaller
) -> Catalog:
    """Read the catalog."""
    catalog = await _read(gateway, caller.tenant_id, catalog_id)
    if catalog.finished_at is None:
        response.headers["Retry-After"] = _RETRY_SECONDS
    return catalog_body(catalog)


@router.delete(
    "/catalogs/{catalog_id}",
    operation_id="cancel_catalog",
    summary="Cancel a catalog",
    description="Reads no further and cancels the photos that wait; those being judged end"
    " normally, and what was judged stays. It is `cancelled` once they have ended. Called again, or"
    " for a catalog that has finished, it changes nothing.",
    response_description="The catalog as it stands now.",
    responses={**_ONE, **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST)},
)
async def cancel_catalog(catalog_id: UUID, gateway: GatewayDep, caller: CatalogCaller) -> Catalog:
    """Cancel what waits, answer with what is left."""
    cancel = functools.partial(_cancel, caller.tenant_id, catalog_id)
    if not await gateway.in_database(cancel):
        raise _missing(catalog_id)
    return catalog_body(await _read(gateway, caller.tenant_id, catalog_id))


def _downloads(example: str) -> dict[int | str, dict[str, Any]]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": example},
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/vnd.apache.parquet": binary,
            }
        },
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    }


@router.get(
    "/catalogs/{catalog_id}/results",
    operation_id="get_catalog_results",
    summary="Download verdicts",
    description="The rows that have a verdict, by line: all of them once the catalog has finished,"
    " those there are before that.",
    response_class=Response,
    response_description="One row each.",
    responses=_downloads(RESULTS_EXAMPLE),
)
async def get_results(
    catalog_id: UUID,
    gateway: GatewayDep,
    caller: CatalogCaller,
    format: _FORMAT = ExportFormat.CSV,  # noqa: A002  # the parameter's name
) -> Response:
    """Stream the judged rows."""
    await _read(gateway, caller.tenant_id, catalog_id)
    return _download(gateway, catalog_id, "results", db.ResultRow, db.result_rows, format)


@router.get(
    "/catalogs/{catalog_id}/errors",
    operation_id="get_catalog_errors",
    summary="Download errors",
    description="The rows that have no verdict and never will, by line, each with its reason.",
    response_class=Response,
    response_description="One row each.",
    responses=_downloads(ERRORS_EXAMPLE),
)
async def get_errors(
    catalog_id: UUID,
    gateway: GatewayDep,
    caller: CatalogCaller,
    format: _FORMAT = ExportFormat.CSV,  # noqa: A002  # the parameter's name
) -> Response:
    """Stream the failed rows."""
    await _read(gateway, caller.tenant_id, catalog_id)
    return _download(gateway, catalog_id, "errors", db.ErrorRow, db.error_rows, format)


def _download(
    gateway: Gateway,
    catalog_id: UUID,
    what: str,
    kind: type[Row],
    read: ReadRows,
    fmt: ExportFormat,
) -> Response:
    name = f"{what}-{catalog_id}.{fmt.value}"
    return StreamingResponse(
        export(gateway, catalog_id, kind, read, fmt),
        media_type=MEDIA_TYPES[fmt],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _read(gateway: Gateway, tenant_id: UUID, catalog_id: UUID) -> models.Catalog:
    def read(session: Session) -> models.Catalog | None:
        return db.get_catalog(session, tenant_id, catalog_id)

    catalog = await gateway.in_database(read)
    if catalog is None:
        raise _missing(catalog_id)
    return catalog


def _cancel(tenant_id: UUID, catalog_id: UUID, session: Session) -> bool:
    _, exists = db.cancel_catalog(session, tenant_id, catalog_id)
    return exists


def _missing(catalog_id: UUID) -> problems.ProblemError:
    return problems.ProblemError(problems.NOT_FOUND, f"there is no catalog {catalog_id}")
