"""`POST /jobs`, `GET /jobs/{job_id}`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.gateway import problems
from services.gateway.accept import Submission, accept
from services.gateway.auth import Reader, Writer
from services.gateway.dependencies import GatewayDep
from services.gateway.fields import InvalidField, parse_metadata, parse_text
from services.gateway.form import ParsedForm, invalid_fields, open_form
from services.gateway.openapi import (
    ACCEPTED_EXAMPLE,
    FINISHED_EXAMPLE,
    keyed_docs,
    multipart_body,
)
from services.gateway.request_facts import RequestFacts, facts_of
from services.gateway.waiting import read_job
from shared.contracts.wire import Job
from shared.db.jobs import JobView
from shared.db.keys import Principal
from shared.present.jobs import MAX_WAIT_SECONDS, is_finished, job_body, job_path

router = APIRouter(tags=["jobs"])

_PARSERS = {"listing_id": parse_text, "category": parse_text, "metadata": parse_metadata}
_BODY = multipart_body(
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
    },
    required=["images"],
    example={
        "images": ["(bytes of mug.jpg)"],
        "listing_id": "L-1042",
        "category": "kitchen",
        "metadata": '{"seller": "S-7"}',
    },
)
_ACCEPT_DOCS = keyed_docs(
    *problems.UPLOAD_PROBLEMS,
    problems.NO_USABLE_IMAGE,
)
_RETRY_AFTER = {"description": "Seconds until a look is worth while.", "schema": {"type": "string"}}


@router.post(
    "/jobs",
    operation_id="submit_job",
    summary="Submit photos",
    description="Answers 202 once bytes and job are durable. When some files cannot be judged, the"
    " job is accepted and those are `failed` images with their `error`; when none can, the answer"
    " is a problem.",
    status_code=202,
    response_description="The job was accepted.",
    responses={
        202: {
            "headers": {
                "Location": {"description": "Path of the job.", "schema": {"type": "string"}},
                "Retry-After": _RETRY_AFTER,
            },
            "content": {"application/json": {"example": ACCEPTED_EXAMPLE}},
        },
        **_ACCEPT_DOCS,
    },
    openapi_extra=_BODY,
)
async def submit_job(
    request: Request, response: Response, gateway: GatewayDep, caller: Writer
) -> Job:
    """Store the photos, write the job, answer with its place."""
    facts = facts_of(request.scope)
    limit = gateway.settings.gateway_max_images
    async with open_form(request, "images", _PARSERS, limit) as form:
        view = await accept(gateway, _submission(caller, facts, form))
    note_job(facts, view)
    response.headers["Location"] = job_path(view.job.id)
    response.headers["Retry-After"] = "1"
    return job_body(view)


def _submission(caller: Principal, facts: RequestFacts, form: ParsedForm) -> Submission:
    values: dict[str, Any] = {}
    for name, text in form.texts.items():
        try:
            values[name] = _PARSERS[name](text)
        except InvalidField as error:
            form.refuse(name, "invalid_value", str(error))
    if form.errors:
        raise invalid_fields(form)
    return Submission(caller.tenant_id, facts.request_id, form.files, **values)


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
        response.headers["Retry-After"] = "1"
    return job_body(view)
