"""`/images/{image_id}`: one photo, and what reviewers say of it."""

import functools
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from services.gateway.access.auth import Reader, Writer
from services.gateway.dependencies import GatewayDep
from services.gateway.http import problems
from services.gateway.openapi.document import keyed_docs
from services.gateway.openapi.examples.images import FEEDBACK_EXAMPLE, IMAGE_EXAMPLE, REVIEW_EXAMPLE
from services.gateway.wiring import Gateway
from shared.contracts.states import Label
from shared.contracts.wire.images import FeedbackList, FeedbackRequest, ImageDetail
from shared.contracts.wire.jobs import Review
from shared.db.images.feedback import ImageUnfinishedError, NewFeedback, add_feedback, list_feedback
from shared.db.images.rows import ImageView, get_image
from shared.db.models import Feedback
from shared.present.images import image_body, image_path
from shared.present.jobs import review_body

router = APIRouter(tags=["images"])

_MAX_REVIEWS = 100


def no_such_image(image_id: UUID) -> problems.ProblemError:
    """The tenant has no image of this id."""
    return problems.ProblemError(problems.NOT_FOUND, f"there is no image {image_id}")


async def read_image(gateway: Gateway, tenant_id: UUID, image_id: UUID) -> ImageView:
    """Return the tenant's image or raise ProblemError (404)."""
    read = functools.partial(_read, tenant_id, image_id)
    view = await gateway.in_database(read)
    if view is None:
        raise no_such_image(image_id)
    return view


def _read(tenant_id: UUID, image_id: UUID, session: Session) -> ImageView | None:
    return get_image(session, tenant_id, image_id)


@router.get(
    "/images/{image_id}",
    operation_id="get_image",
    summary="Read one photo",
    description="The photo with every verdict on it, what it was judged with, and the review that"
    " counts.",
    response_description="The photo.",
    responses={
        200: {"content": {"application/json": {"example": IMAGE_EXAMPLE}}},
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_image_detail(image_id: UUID, gateway: GatewayDep, caller: Reader) -> ImageDetail:
    """Read the photo."""
    return image_body(await read_image(gateway, caller.tenant_id, image_id))


@router.post(
    "/images/{image_id}/feedback",
    operation_id="create_feedback",
    summary="Review a photo",
    description="Stores a person's label for a photo that has been judged. The newest review of a"
    " photo counts: the job shows it, the listing's verdict follows it, and when it changes the"
    " label that counted so far, `verdict.changed` is sent. Reviews are never changed or removed."
    "\n\nThe model does not change by it; reviews are what a later training can read.",
    status_code=201,
    response_description="The review as stored.",
    responses={
        201: {
            "headers": {
                "Location": {
                    "description": "Path of the photo's reviews.",
                    "schema": {"type": "string"},
                }
            },
            "content": {"application/json": {"example": REVIEW_EXAMPLE}},
        },
        **keyed_docs(
            problems.NOT_FOUND,
            problems.IMAGE_UNFINISHED,
            problems.TOO_LARGE,
            problems.MALFORMED_REQUEST,
            problems.UPLOAD_TIMEOUT,
            problems.INVALID_REQUEST,
        ),
    },
    openapi_extra={"requestBody": {"content": {"application/json": {"example": FEEDBACK_EXAMPLE}}}},
)
async def create_feedback(
    image_id: UUID,
    request: FeedbackRequest,
    response: Response,
    gateway: GatewayDep,
    caller: Writer,
) -> Review:
    """Store the review and tell of a changed verdict, in one transaction."""
    new = NewFeedback(Label(request.label), request.reason, request.reviewer)

    def work(session: Session) -> Feedback | None:
        return add_feedback(session, caller.tenant_id, image_id, new)

    try:
        feedback = await gateway.in_database(work)
    except ImageUnfinishedError as error:
        raise problems.ProblemError(
            problems.IMAGE_UNFINISHED, f"{error}", headers={"Retry-After": "1"}
        ) from error
    if feedback is None:
        raise no_such_image(image_id)
    response.headers["Location"] = f"{image_path(image_id)}/feedback"
    return review_body(feedback)


@router.get(
    "/images/{image_id}/feedback",
    operation_id="list_feedback",
    summary="Read a photo's reviews",
    response_description="The newest first.",
    responses={
        200: {"content": {"application/json": {"example": {"data": [REVIEW_EXAMPLE]}}}},
        **keyed_docs(problems.NOT_FOUND, problems.INVALID_REQUEST),
    },
)
async def get_feedback(
    image_id: UUID,
    gateway: GatewayDep,
    caller: Reader,
    limit: Annotated[
        int, Query(ge=1, le=_MAX_REVIEWS, description="At most this many.")
    ] = _MAX_REVIEWS,
) -> FeedbackList:
    """List what people said of the photo."""

    def work(session: Session) -> list[Feedback] | None:
        if get_image(session, caller.tenant_id, image_id) is None:
            return None
        return list_feedback(session, image_id, limit)

    reviews = await gateway.in_database(work)
    if reviews is None:
        raise no_such_image(image_id)
    return FeedbackList(data=[review_body(review) for review in reviews])
