"""Database rows to the JSON that clients see."""

from typing import Any
from uuid import UUID

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import TERMINAL_JOB, ImageStatus, JobStatus, Label
from shared.contracts.wire import ImageError, Job, JobImage, JobLinks, ListingVerdict, Verdict
from shared.db import models
from shared.db.jobs import JobView
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
        images=[_image(image, verdict) for image, verdict in view.images],
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


def _image(image: models.Image, verdict: models.Verdict | None) -> JobImage:
    return JobImage(
        id=image.id,
        filename=image.filename,
        status=ImageStatus(image.status),
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        error=image_error(image),
        verdict=_verdict(verdict) if verdict else None,
    )


def _verdict(verdict: models.Verdict) -> Verdict:
    evidence: list[dict[str, Any]] = verdict.evidence
    return Verdict(
        label=Label(verdict.label),
        probability=verdict.probability,
        confidence=verdict.confidence,
        model_version=verdict.model_version,
        evidence=evidence,
    )


def _listing(view: JobView) -> ListingVerdict | None:
    if not is_finished(view):
        return None
    photos = [
        JudgedPhoto(image.id, image.filename, Label(verdict.label), verdict.probability)
        for image, verdict in view.images
        if verdict is not None
    ]
    return listing_verdict(photos, len(view.images) - len(photos))
