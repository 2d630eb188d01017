"""`/drift`: what drift checks found in the caller's own verdicts.

All tenants together are the operator's to see, who has the database: `detector drift status
--all-tenants`.
"""

import functools
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from services.gateway.access.auth import Reader
from services.gateway.dependencies import GatewayDep
from services.gateway.drift_pages import render_report
from services.gateway.http import problems
from services.gateway.http.cursors import place_of
from services.gateway.http.pages import Cursor, PageLimit, page_end
from services.gateway.openapi.document import keyed_docs
from services.gateway.openapi.examples import drift as drift_examples
from services.gateway.wiring import Gateway
from shared.contracts.drift import Severity
from shared.contracts.wire.drift import DriftOverview, DriftReportDetail, DriftReportPage
from shared.contracts.wire.job_requests import DEFAULT_PAGE
from shared.db.drift import reading
from shared.db.models import DriftReport
from shared.db.paging import Place
from shared.present.drift import detail_body, overview_body, summary_body

router = APIRouter(tags=["drift"])

_TEXT = r"^[^\x00-\x1f\x7f]*$"
_FILTERS = ("severity", "model_version", "created_after", "created_before")
_HTML_ANSWER = {"text/html": {"schema": {"type": "string"}}}


def _json(example: object) -> dict[str, object]:
    return {"application/json": {"example": example}}


@router.get(
    "/drift",
    operation_id="get_drift",
    summary="Has anything drifted?",
    description="Where each model version stands that judged photos of the tenant: its severity,"
    " since when, and the named cause. Checks look at a window of stored verdicts; a window with"
    " too few photos leaves things as they are.",
    response_description="The latest state.",
    responses={200: {"content": _json(drift_examples.OVERVIEW)}, **keyed_docs()},
)
async def get_drift(gateway: GatewayDep, caller: Reader) -> DriftOverview:
    """Read the states of the caller's tenant."""

    def work(session: Session) -> DriftOverview:
        states = reading.list_states(session, caller.tenant_id)
        return overview_body(states, reading.newest_run(session))

    return await gateway.in_database(work)


@router.get(
    "/drift/reports",
    operation_id="list_drift_reports",
    summary="List drift reports",
    description="One for each check that had enough of the tenant's photos; the newest window"
    " first. Reports are kept for a while only.",
    response_description="One page of reports.",
    responses={
        200: {"content": _json(drift_examples.PAGE)},
        **keyed_docs(problems.INVALID_REQUEST),
    },
)
async def list_drift_reports(
    request: Request,
    gateway: GatewayDep,
    caller: Reader,
    severity: Annotated[
        list[Severity] | None, Query(description="One of these; repeat it for several.")
    ] = None,
    model_version: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
    created_after: Annotated[
        AwareDatetime | None, Query(description="Made at this instant or later.")
    ] = None,
    created_before: Annotated[
        AwareDatetime | None, Query(description="Made before this instant.")
    ] = None,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> DriftReportPage:
    """Read one page."""
    wanted = reading.ReportFilter(severity or (), model_version, created_after, created_before)
    read = functools.partial(_page, caller.tenant_id, wanted, limit, place_of(cursor))
    page = await gateway.in_database(read)
    end = page_end("/drift/reports", request, _FILTERS, page.next)
    data = [summary_body(row) for row in page.reports]
    return DriftReportPage(data=data, next_cursor=end.next_cursor, links=end.links)


@router.get(
    "/drift/reports/{report_id}",
    operation_id="get_drift_report",
    summary="Read a drift report",
    description="Statistics with threshold, effect and significance after the correction for many"
    " tests, the segments that moved, the named cause with its evidence, example photos, and"
    " accuracy. With `Accept: text/html` the answer is the page of `/drift/reports/{id}/html`.",
    response_description="The report.",
    responses={
        200: {"content": {**_json(drift_examples.DETAIL), **_HTML_ANSWER}},
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
    response_model=DriftReportDetail,
)
async def get_drift_report(
    report_id: UUID,
    gateway: GatewayDep,
    caller: Reader,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> DriftReportDetail | Response:
    """Read one report of the caller's tenant, in the wanted form."""
    row = await _find(gateway, caller.tenant_id, report_id)
    if wants_html(accept):
        return await render_report(gateway, caller.tenant_id, row)
    return detail_body(row)


@router.get(
    "/drift/reports/{report_id}/html",
    operation_id="get_drift_report_page",
    summary="Read a drift report as a page",
    description="A page that stands on its own: plots, tables and previews of the example photos"
    " are inside it.",
    response_class=Response,
    responses={
        200: {"description": "The page.", "content": _HTML_ANSWER},
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_drift_report_page(report_id: UUID, gateway: GatewayDep, caller: Reader) -> Response:
    """Render one report of the caller's tenant."""
    row = await _find(gateway, caller.tenant_id, report_id)
    return await render_report(gateway, caller.tenant_id, row)


def wants_html(accept: str) -> bool:
    """Say whether an `Accept` header prefers HTML to JSON (RFC 9110, 12.5.1, by quality alone)."""
    quality = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name in quality:
            q = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
            quality[name] = float(q) if q.replace(".", "", 1).isdecimal() else 0.0
    return quality["text/html"] > quality["application/json"]


async def _find(gateway: Gateway, tenant_id: UUID, report_id: UUID) -> DriftReport:
    row = await gateway.in_database(
        functools.partial(reading.get_report, tenant_id=tenant_id, report_id=report_id)
    )
    if row is None:
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no drift report {report_id}")
    return row


def _page(
    tenant_id: UUID,
    wanted: reading.ReportFilter,
    limit: int,
    after: Place | None,
    session: Session,
) -> reading.ReportPage:
    return reading.list_reports(session, tenant_id, wanted, limit, after)
