"""`POST /predict`: one photo, one answer; behind it a job like any other."""

from typing import NoReturn

from fastapi import APIRouter, Request

from services.gateway.access.auth import Submitter
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.http.facts import facts_of
from services.gateway.openapi.document import PREDICTION_EXAMPLE, keyed_docs, multipart_body
from services.gateway.routes.jobs import note_job
from services.gateway.uploads.accept import accept
from services.gateway.uploads.form import invalid_fields, open_form
from services.gateway.uploads.submission import Submission
from services.gateway.waiting.jobs import read_job
from shared.contracts.states import JobKind, Label
from shared.contracts.wire.jobs import Prediction
from shared.db.jobs.rows import JobView
from shared.db.models import Image
from shared.present.basis import rests_on
from shared.present.jobs import image_error, is_finished, job_path

router = APIRouter(tags=["jobs"])

_FORM = multipart_body(
    {"file": {"type": "string", "format": "binary", "description": "One photo."}},
    required=["file"],
    example={"file": "(bytes of mug.jpg)"},
)
_BODY = {"requestBody": {"required": True, "content": _FORM}}
_DOCS = keyed_docs(
    *problems.UPLOAD_PROBLEMS,
    problems.INFERENCE_FAILED,
    problems.OBJECT_MISSING,
    problems.ATTEMPTS_EXHAUSTED,
    problems.PREDICTION_PENDING,
)


@router.post(
    "/predict",
    operation_id="predict",
    summary="Judge one photo",
    description="Takes the same way as a job with one image and waits for its verdict. When that"
    " takes too long the answer is 504 with the job's link: the photo is safe.",
    response_description="The verdict.",
    responses={
        200: {"content": {"application/json": {"example": PREDICTION_EXAMPLE}}},
        **_DOCS,
    },
    openapi_extra=_BODY,
)
async def predict(request: Request, gateway: GatewayDep, caller: Submitter) -> Prediction:
    """Accept the photo, wait for its verdict, answer with it."""
    facts = facts_of(request.scope)
    async with open_form(request, "file", (), max_files=1) as form:
        if form.errors:
            raise invalid_fields(form)
        submission = Submission(
            caller.tenant_id, facts.request_id, form.files, kind=JobKind.PREDICT
        )
        accepted = (await accept(gateway, submission)).view
    note_job(facts, accepted)
    view = await read_job(
        gateway, caller.tenant_id, accepted.job.id, gateway.settings.gateway_predict_seconds
    )
    if view is None:  # removed while it was waited for
        raise problems.ProblemError(problems.NOT_FOUND, f"there is no job {accepted.job.id}")
    return _prediction(view)


def _prediction(view: JobView) -> Prediction:
    image, verdict = view.images[0]
    if verdict is None or image.finished_at is None:
        _no_verdict(view, image)
    rests = rests_on(verdict.evidence, verdict.probability)
    took = image.finished_at - image.created_at
    return Prediction(
        prediction=Label(verdict.label),
        probability=verdict.probability,
        confidence=verdict.confidence,
        inference_time_ms=round(max(0.0, took.total_seconds() * 1000), 1),
        model_version=verdict.model_version,
        basis=rests.basis,
        pixels_probability=rests.pixels_probability,
    )


def _no_verdict(view: JobView, image: Image) -> NoReturn:
    path = job_path(view.job.id)
    extensions = {"job": path}
    error = image_error(image)
    if error is None or not is_finished(view):
        raise problems.ProblemError(
            problems.PREDICTION_PENDING,
            f"the photo was accepted; its verdict will be at {path}",
            headers={"Location": path, "Retry-After": "1"},
            extensions=extensions,
        )
    item = {
        "index": 0,
        "filename": image.filename,
        "code": error.code.value,
        "detail": error.detail,
    }
    kind = problems.IMAGE_PROBLEMS[error.code]
    raise problems.ProblemError(kind, error.detail, [item], extensions=extensions)
