"""The use case behind every upload: check, store, commit, tell the queue (in that order, G1)."""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import anyio
from sqlalchemy.orm import Session

from services.gateway import metrics
from services.gateway.form import UploadedFile
from services.gateway.intake import FileLimits, Refusal, inspect, refusal_problem
from services.gateway.responses import storage_unavailable
from services.gateway.wiring import Gateway
from shared.core.errors import StorageError
from shared.core.logging import get_logger
from shared.db.jobs import JobView, NewImage, NewJob, get_job, insert_job
from shared.ml.header import ImageHeader
from shared.storage.port import ObjectStore, image_key, sha256_hex

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """Files and facts that one request brought."""

    tenant_id: UUID
    request_id: str
    files: Sequence[UploadedFile]
    listing_id: str | None = None
    category: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


async def accept(gateway: Gateway, submission: Submission) -> JobView:
    """Make a job of `submission`; bytes and rows are durable when this returns.

    Refused files become failed images of the job. Raises ProblemError when all are refused or the
    object store is away, and database errors as they are; then there is no job.
    """
    limits = FileLimits(
        gateway.settings.gateway_max_image_bytes, gateway.settings.gateway_max_pixels
    )
    checked = await gateway.in_store(functools.partial(_inspect_all, submission.files, limits))
    refusals = {i: result for i, result in enumerate(checked) if isinstance(result, Refusal)}
    for refusal in refusals.values():
        metrics.REFUSED.labels(refusal.code.value).inc()
    if len(refusals) == len(checked):
        raise refusal_problem([file.filename for file in submission.files], refusals)
    images = await _store_all(gateway, submission, checked)
    view = await gateway.in_database(functools.partial(_insert, submission, images))
    gateway.relay.poke()
    metrics.ACCEPTED.inc(len(checked) - len(refusals))
    return view


def _inspect_all(files: Sequence[UploadedFile], limits: FileLimits) -> list[ImageHeader | Refusal]:
    return [inspect(file.stream, file.size, limits) for file in files]


async def _store_all(
    gateway: Gateway, submission: Submission, checked: Sequence[ImageHeader | Refusal]
) -> list[NewImage]:
    """Store the good files, several at a time; the first failure spares the rest the attempt."""
    settings = gateway.settings
    images: list[NewImage] = [
        _refused(file, result) for file, result in _pairs(submission, checked)
    ]
    room = anyio.Semaphore(settings.gateway_store_threads_per_request)
    failures: list[StorageError] = []

    async def store(index: int, file: UploadedFile, header: ImageHeader) -> None:
        async with room:
            if failures:
                return
            put = functools.partial(_put, gateway.store, submission.tenant_id, file, header)
            try:
                images[index] = await gateway.in_store(put)
            except StorageError as error:
                failures.append(error)

    with anyio.move_on_after(settings.gateway_store_seconds) as limit:
        async with anyio.create_task_group() as group:
            for index, (file, result) in enumerate(_pairs(submission, checked)):
                if isinstance(result, ImageHeader):
                    group.start_soon(store, index, file, result)
    if failures or limit.cancelled_caught:
        log.warning("storage.unavailable", error=str(failures[0]) if failures else "time is up")
        raise storage_unavailable()
    return images


def _pairs(
    submission: Submission, checked: Sequence[ImageHeader | Refusal]
) -> list[tuple[UploadedFile, ImageHeader | Refusal]]:
    return list(zip(submission.files, checked, strict=True))


def _refused(file: UploadedFile, result: ImageHeader | Refusal) -> NewImage:
    """Return the row of a refused file; for a good one a place that storing it fills."""
    if isinstance(result, ImageHeader):
        return NewImage(file.filename, file.size)
    return NewImage(
        file.filename, file.size, error_code=result.code.value, error_detail=result.detail
    )


def _put(store: ObjectStore, tenant_id: UUID, file: UploadedFile, header: ImageHeader) -> NewImage:
    started = time.perf_counter()
    file.stream.seek(0)
    data = file.stream.read()
    sha256 = sha256_hex(data)
    key = image_key(tenant_id, sha256)
    store.put(key, data, header.mime)
    metrics.STORE_SECONDS.observe(time.perf_counter() - started)
    return NewImage(
        filename=file.filename,
        size=len(data),
        sha256=sha256,
        object_key=key,
        content_type=header.mime,
        width=header.width,
        height=header.height,
    )


def _insert(submission: Submission, images: Sequence[NewImage], session: Session) -> JobView:
    new = NewJob(
        tenant_id=submission.tenant_id,
        request_id=submission.request_id,
        images=images,
        listing_id=submission.listing_id,
        category=submission.category,
        extra=submission.metadata,
    )
    view = get_job(session, submission.tenant_id, insert_job(session, new))
    if view is None:
        raise LookupError("the job just inserted is not there")
    return view
