"""One photo's rows to the JSON that clients see."""

from uuid import UUID

from shared.contracts.states import ImageStatus
from shared.contracts.wire.images import ImageDetail, ImageLinks, JudgedVerdict
from shared.db import models
from shared.db.images.rows import ImageView
from shared.present.jobs import (
    counting_label,
    image_error,
    job_path,
    review_body,
    verdict_body,
)


def image_path(image_id: UUID) -> str:
    """Return the image's path."""
    return f"/images/{image_id}"


def image_body(view: ImageView) -> ImageDetail:
    """Return `view` as the API shows it."""
    image, job = view.image, view.job
    verdicts = [_judged(verdict) for verdict in view.verdicts]
    return ImageDetail(
        id=image.id,
        job_id=job.id,
        listing_id=job.listing_id,
        category=job.category,
        filename=image.filename,
        source_url=image.source_url,
        status=ImageStatus(image.status),
        sha256=image.sha256,
        content_type=image.content_type,
        size=image.size,
        width=image.width,
        height=image.height,
        created_at=image.created_at,
        finished_at=image.finished_at,
        error=image_error(image),
        label=counting_label(view.verdict, view.review),
        verdict=verdicts[-1] if verdicts else None,
        verdicts=verdicts,
        review=review_body(view.review) if view.review else None,
        links=_links(view),
    )


def _judged(verdict: models.Verdict) -> JudgedVerdict:
    return JudgedVerdict(**verdict_body(verdict).model_dump(), created_at=verdict.created_at)


def _links(view: ImageView) -> ImageLinks:
    path = image_path(view.image.id)
    has_verdict = view.verdict is not None
    return ImageLinks(
        self=path,
        job=job_path(view.job.id),
        feedback=f"{path}/feedback",
        heatmap=f"{path}/heatmap" if has_verdict else None,
        evidence=f"{path}/evidence" if has_verdict else None,
    )
