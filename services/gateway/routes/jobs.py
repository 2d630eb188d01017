"""`POST /jobs`, `GET /jobs/{job_id}`, `DELETE /jobs/{job_id}`."""

import functools
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from services.gateway import metrics
from services.gateway.access.auth import Reader, Submitter, Writer
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.http.facts import RequestFacts, facts_of
from services.gateway.openapi.document import (
    ACCEPTED_EXAMPLE,
    CANCELLED_EXAMPLE,
    FINISHED_EXAMPLE,
    json_body,
    keyed_docs,
    multipart_body,
)
from services.gateway.uploads.accept import Accepted, accept
from services.gateway.uploads.form import media_type, open_form
from services.gateway.uploads.idempotency import REPLAYED_DOC, REPLAYED_HEADER, IdempotencyKey
from services.gateway.uploads.json_job import read_job_request
from services.gateway.uploads.parsing import TEXT_FIELDS, from_form, from_json
from services.gateway.waiting.jobs import read_job
from services.gateway.wiring import Gateway
from shared.contracts.wire.job_requests import JobRequest
from shared.contracts.wire.jobs import Job
from shared.db.jobs.results import cancel_jobs
from shared.db.jobs.rows import JobView
from shared.db.jobs.rows import get_job as read_now
from shared.db.tenants.keys import Principal
from shared.present.jobs import MAX_WAIT_SECONDS, is_finished, job_body, job_path

router = APIRouter(tags=["jobs"])

_FORM = multipart_body(
    {
        "images": {
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {"type": "string", "format": "binary"},
            "description": "Photos: JPEG, PNG, WebP, GIF or AVIF.",
        },
        "listing_id": {"type": "string", "maxLength": 200},
        "category": {"type": "string", "maxLength": 200},
        "metadata": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON object of your own, returned with the job.",
        },
        "webhook_url": {
            "type": "string",
            "maxLength": 2048,
            "description": "Told when this job has finished.",
        },
    },
    required=["images"],
    example={
        "images": ["(bytes of mug.jpg)"],
        "listing_id": "L-1042",
        "category": "kitchen",
        "metadata": '{"seller": "S-7"}',
    },
)
_JSON = json_body(
    JobRequest,
    example={
        "images": [{"url": "https://shop.example/photos/mug.jpg"}],
        "listing_id": "L-1042",
        "metadata": {"seller": "S-7"},
    },
)
_BODY = {
    "requestBody": {"required": True, "content": {**_FORM, **_JSON}},
}
_ACCEPT_DOCS = keyed_docs(
    *problems.UPLOAD_PROBLEMS,
    *problems.URL_PROBLEMS,
    problems.NO_USABLE_IMAGE,
    problems.IDEMPOTENCY_KEY_REUSED,
)
_RETRY_AFTER = {"description": "Seconds until a look is worth while.", "schema": {"type": "string"}}


@router.post(
    "/jobs",
    operation_id="submit_job",
    summary="Submit photos",
    description="As files (multipart) or by URL (JSON). Answers 202 once bytes and job are durable;"
    " photos by URL have been fetched by then. When some photos cannot be judged, the job is"
    " accepted and those are `failed` images with their `error`; when none can, the answer is a"
    " problem.",
    status_code=202,
    response_description="The job was accepted.",
    responses={
        202: {
            "headers": {
                "Location": {"description": "Path of the job.", "schema": {"type": "string"}},
                "Retry-After": _RETRY_AFTER,
                **REPLAYED_DOC,
            },
            "content": {"application/json": {"example": ACCEPTED_EXAMPLE}},
        },
        **_ACCEPT_DOCS,
    },
    openapi_extra=_BODY,
)
async def submit_job(
    request: Request,
    response: Response,
    gateway: GatewayDep,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Store the photos, write the job, answer with its place."""
    facts = facts_of(request.scope)
    accepted = await _accept(request, gateway, caller, idempotency_key)
    note_job(facts, accepted.view)
    response.headers["Location"] = job_path(accepted.view.job.id)
    response.headers["Retry-After"] = gateway.queue.retry_after()
    if accepted.replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return job_body(accepted.view)


async def _accept(
    request: Request, gateway: Gateway, caller: Principal, key: str | None
) -> Accepted:
    request_id = facts_of(request.scope).request_id
    limit = gateway.settings.gateway_max_images
    if media_type(request) == "application/json":
        body = await read_job_request(request, limit)
        wanted = from_json(caller.tenant_id, request_id, key, body, gateway.webhooks.guard)
        return await accept(gateway, wanted)
    async with open_form(request, "images", TEXT_FIELDS, limit) as form:
        wanted = from_form(caller.tenant_id, request_id, key, form, gateway.webhooks.guard)
        return await accept(gateway, wanted)


def note_job(facts: RequestFacts, view: JobView) -> None:
    """Put the accepted job into the request's log line."""
    facts.job_id = view.job.id
    facts.images = len(view.images)
    facts.refused = sum(image.error_code is not None for image, _ in view.images)


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="Read a job",
    description="With `wait` the answer comes when the job has finished, or after that many seconds"
    " with the state it has then.",
    response_description="The job as it stands.",
    responses={
        200: {
            "headers": {
                "Retry-After": {**_RETRY_AFTER, "description": "Only while unfinished: seconds."}
            },
            "content": {"application/json": {"example": FINISHED_EXAMPLE}},
        },
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_job(
    job_id: UUID,
    request: Request,
    response: Response,
    gateway: GatewayDep,
    caller: Reader,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the end.")
    ] = 0,
) -> Job:
    """Read the job, waiting for its end when asked to."""
    facts = facts_of(request.scope)
    facts.job_id = job_id
    with facts.waiting(wait):
        view = await read_job(gateway, caller.tenant_id, job_id, wait, until_shutdown=True)
    if view is None:
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no job {job_id}")
    if not is_finished(view):
        response.headers["Retry-After"] = gateway.queue.retry_after()
    return job_body(view)


@router.delete(
    "/jobs/{job_id}",
    operation_id="cancel_job",
    summary="Cancel a job",
    description="Cancels the photos that have not been started; those being judged end normally and"
    " what was judged stays. The job is `cancelled` when no photo of it was judged, else `partial`."
    " Called again, or for a job that has finished, it changes nothing and answers the same way.",
    response_description="The job as it stands now.",
    responses={
        200: {"content": {"application/json": {"example": CANCELLED_EXAMPLE}}},
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def cancel_job(job_id: UUID, request: Request, gateway: GatewayDep, caller: Writer) -> Job:
    """Cancel what waits, answer with what is left."""
    facts_of(request.scope).job_id = job_id
    cancelled, view = await gateway.in_database(
        functools.partial(_cancel, caller.tenant_id, job_id)
    )
    if view is None:
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no job {job_id}")
    metrics.CANCELLED.inc(cancelled)
    return job_body(view)


def _cancel(tenant_id: UUID, job_id: UUID, session: Session) -> tuple[int, JobView | None]:
    if read_now(session, tenant_id, job_id) is None:
        return 0, None
    cancelled = cancel_jobs(session, [job_id])
    session.expire_all()  # the statements above went past the session's rows
    return len(cancelled), read_now(session, tenant_id, job_id)
