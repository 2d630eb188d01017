"""`GET /jobs`: a tenant's jobs, page by page."""

import functools
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime
from sqlalchemy.orm import Session

from services.gateway.access.auth import Reader
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.http.cursors import place_of
from services.gateway.http.pages import Cursor, PageLimit, page_end
from services.gateway.openapi.document import PAGE_EXAMPLE, keyed_docs
from shared.contracts.states import JobStatus
from shared.contracts.wire.job_requests import DEFAULT_PAGE, JobPage
from shared.db.jobs.listing import JobFilter, Page
from shared.db.jobs.listing import list_jobs as read_page
from shared.db.paging import Place
from shared.present.job_list import job_summary

router = APIRouter(tags=["jobs"])

# What a text column can hold.
_TEXT = r"^[^\x00-\x1f\x7f]*$"
_FILTERS = ("status", "listing_id", "category", "created_after", "created_before")


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List jobs",
    description="Newest first, without their photos. Pages are stable: `links.next` leads on, and"
    " jobs submitted meanwhile appear before the first page. Predictions and catalogs' jobs are"
    " not listed.",
    response_description="One page of jobs.",
    responses={
        200: {"content": {"application/json": {"example": PAGE_EXAMPLE}}},
        **keyed_docs(problems.INVALID_REQUEST),
    },
)
async def list_jobs(
    request: Request,
    gateway: GatewayDep,
    caller: Reader,
    status: Annotated[
        list[JobStatus] | None, Query(description="One of these; repeat it for several.")
    ] = None,
    listing_id: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
    category: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
    created_after: Annotated[
        AwareDatetime | None, Query(description="Submitted at this instant or later.")
    ] = None,
    created_before: Annotated[
        AwareDatetime | None, Query(description="Submitted before this instant.")
    ] = None,
    limit: PageLimit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JobPage:
    """Read one page."""
    wanted = JobFilter(status or (), listing_id, category, created_after, created_before)
    read = functools.partial(_read, caller.tenant_id, wanted, limit, place_of(cursor))
    page = await gateway.in_database(read)
    end = page_end("/jobs", request, _FILTERS, page.next)
    data = [job_summary(view) for view in page.jobs]
    return JobPage(data=data, next_cursor=end.next_cursor, links=end.links)


def _read(
    tenant_id: UUID, wanted: JobFilter, limit: int, after: Place | None, session: Session
) -> Page:
    return read_page(session, tenant_id, wanted, limit, after)
