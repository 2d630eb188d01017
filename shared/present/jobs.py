"""Database rows to the JSON that clients see."""

from typing import Any
from uuid import UUID

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import TERMINAL_JOB, ImageStatus, JobStatus, Label
from shared.contracts.wire.jobs import (
    ImageError,
    Job,
    JobImage,
    JobLinks,
    ListingVerdict,
    Review,
    Verdict,
)
from shared.db import models
from shared.db.jobs.rows import JobView
from shared.present.basis import rests_on
from shared.present.listing import JudgedPhoto, listing_verdict

MAX_WAIT_SECONDS = 30


def job_path(job_id: UUID) -> str:
    """Return the job's path."""
    return f"/jobs/{job_id}"


def job_body(view: JobView) -> Job:
    """Return `view` as the API shows it."""
    job = view.job
    path = job_path(job.id)
    return Job(
        id=job.id,
        status=JobStatus(job.status),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        listing_id=job.listing_id,
        category=job.category,
        metadata=job.extra,
        images=[
            _image(image, verdict, view.reviews.get(image.id)) for image, verdict in view.images
        ],
        verdict=_listing(view),
        links=JobLinks(self=path, wait=f"{path}?wait={MAX_WAIT_SECONDS}"),
    )


def is_finished(view: JobView) -> bool:
    """Return whether the job is terminal."""
    return JobStatus(view.job.status) in TERMINAL_JOB


def image_error(image: models.Image) -> ImageError | None:
    """Return why the image has no verdict, or None."""
    if image.error_code is None:
        return None
    code = ImageErrorCode(image.error_code)
    return ImageError(code=code, detail=image.error_detail or IMAGE_ERROR_HELP[code])


def review_body(feedback: models.Feedback) -> Review:
    """Return what a person said."""
    overturns = feedback.model_label is not None and feedback.label != feedback.model_label
    generated = feedback.label == Label.AI_GENERATED
    return Review(
        id=feedback.id,
        label=Label.AI_GENERATED if generated else Label.REAL,
        reason=feedback.reason,
        reviewer=feedback.reviewer,
        created_at=feedback.created_at,
        model_version=feedback.model_version,
        model_label=Label(feedback.model_label) if feedback.model_label else None,
        overturns_verdict=overturns,
        changed_label=feedback.overturned,
    )


def counting_label(verdict: models.Verdict | None, review: models.Feedback | None) -> Label | None:
    """Return the label that counts: the reviewer's, else the model's."""
    if review is not None:
        return Label(review.label)
    return Label(verdict.label) if verdict else None


def _image(
    image: models.Image, verdict: models.Verdict | None, review: models.Feedback | None
) -> JobImage:
    return JobImage(
        id=image.id,
        filename=image.filename,
        status=ImageStatus(image.status),
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        source_url=image.source_url,
        error=image_error(image),
        verdict=verdict_body(verdict) if verdict else None,
        review=review_body(review) if review else None,
        label=counting_label(verdict, review),
    )


def verdict_body(verdict: models.Verdict) -> Verdict:
    """Return a model's judgement."""
    evidence: list[dict[str, Any]] = verdict.evidence
    rests = rests_on(evidence, verdict.probability)
    return Verdict(
        label=Label(verdict.label),
        probability=verdict.probability,
        confidence=verdict.confidence,
        model_version=verdict.model_version,
        basis=rests.basis,
        pixels_probability=rests.pixels_probability,
        evidence=evidence,
        judged_with=verdict.judged_with,
        reused_from=verdict.reused_from,
    )


def _listing(view: JobView) -> ListingVerdict | None:
    if not is_finished(view):
        return None
    photos = [
        photo
        for image, verdict in view.images
        if (photo := _judged(image, verdict, view.reviews.get(image.id))) is not None
    ]
    return listing_verdict(photos, len(view.images) - len(photos))


def _judged(
    image: models.Image, verdict: models.Verdict | None, review: models.Feedback | None
) -> JudgedPhoto | None:
    label = counting_label(verdict, review)
    if label is None:
        return None
    if review is not None:
        certain = float(label == Label.AI_GENERATED)
        return JudgedPhoto(image.id, image.filename, label, certain, reviewed=True)
    if verdict is None:
        return None
    basis = rests_on(verdict.evidence, verdict.probability).basis
    return JudgedPhoto(image.id, image.filename, label, verdict.probability, basis=basis)
