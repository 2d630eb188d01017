"""Jobs and their images: insertion and reading, always within one tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.contracts.states import ImageStatus, JobKind, JobStatus
from shared.contracts.tasks import MAX_CHUNK
from shared.core.ids import new_id
from shared.core.texts import storable
from shared.db.images.feedback import newest_feedback
from shared.db.jobs.results import finish_jobs
from shared.db.models import Feedback, Image, Job, JobEvent, Verdict
from shared.db.queue.outbox import add_chunks


@dataclass(frozen=True, slots=True)
class NewImage:
    """One uploaded file: stored (with `object_key`), or refused at intake (with `error_code`)."""

    filename: str
    size: int
    sha256: str | None = None
    object_key: str | None = None
    content_type: str | None = None
    width: int | None = None
    height: int | None = None
    error_code: str | None = None
    error_detail: str | None = None
    # Where it was fetched from; None for an upload.
    source_url: str | None = None


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a client submitted."""

    tenant_id: UUID
    request_id: str
    images: Sequence[NewImage]
    listing_id: str | None = None
    category: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    webhook_url: str | None = None
    kind: JobKind = JobKind.JOB
    # Set exactly for the kind `catalog`.
    catalog_id: UUID | None = None
    # Chosen beforehand where another row of the transaction names it.
    id: UUID = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its images in upload order, each with its newest verdict."""

    job: Job
    images: Sequence[tuple[Image, Verdict | None]]
    # The newest feedback of each image that has any.
    reviews: Mapping[UUID, Feedback] = field(default_factory=dict)


def insert_job(session: Session, new: NewJob) -> UUID:
    """Write job, image and outbox rows and return the job's id.

    Images refused at intake are terminal at once; a job of nothing else is failed at once.
    """
    job = Job(
        id=new.id,
        tenant_id=new.tenant_id,
        kind=new.kind.value,
        catalog_id=new.catalog_id,
        request_id=new.request_id,
        listing_id=new.listing_id,
        category=new.category,
        extra=new.extra,
        webhook_url=new.webhook_url,
    )
    session.add(job)
    session.flush()
    session.add(JobEvent(job_id=job.id, from_status=None, to_status=JobStatus.QUEUED.value))
    images = [_image_row(job, position, image) for position, image in enumerate(new.images)]
    session.add_all(images)
    session.flush()
    waiting = [image.id for image in images if image.status == ImageStatus.QUEUED]
    add_chunks(session, waiting, MAX_CHUNK, bulk=new.kind is JobKind.CATALOG)
    if not waiting:
        finish_jobs(session, [job.id])
    return job.id


def _image_row(job: Job, position: int, image: NewImage) -> Image:
    refused = image.error_code is not None
    return Image(
        id=new_id(),
        job_id=job.id,
        tenant_id=job.tenant_id,
        position=position,
        filename=storable(image.filename),
        source_url=image.source_url,
        status=(ImageStatus.FAILED if refused else ImageStatus.QUEUED).value,
        object_key=image.object_key,
        sha256=image.sha256,
        content_type=image.content_type,
        size=image.size,
        width=image.width,
        height=image.height,
        error_code=image.error_code,
        error_detail=None if image.error_detail is None else storable(image.error_detail),
        finished_at=job.created_at if refused else None,
    )


def get_job(session: Session, tenant_id: UUID, job_id: UUID) -> JobView | None:
    """Return the tenant's job, or None when it has none of this id."""
    job = session.execute(
        select(Job).where(Job.id == job_id, Job.tenant_id == tenant_id)
    ).scalar_one_or_none()
    return None if job is None else load_views(session, [job])[0]


def load_views(session: Session, jobs: Sequence[Job]) -> list[JobView]:
    """Return `jobs`, in their order, with images, verdicts and reviews; two queries for all."""
    rows = session.execute(
        select(Image, Verdict)
        .outerjoin(Verdict, Verdict.image_id == Image.id)
        .where(Image.job_id.in_([job.id for job in jobs]))
        .order_by(Image.position, Verdict.created_at)
    )
    newest: dict[UUID, dict[UUID, tuple[Image, Verdict | None]]] = {job.id: {} for job in jobs}
    # The newest verdict of an image comes last and wins.
    for image, verdict in rows:
        newest[image.job_id][image.id] = (image, verdict)
    reviews = newest_feedback(session, [image for of_job in newest.values() for image in of_job])
    return [JobView(job, list(newest[job.id].values()), reviews) for job in jobs]
