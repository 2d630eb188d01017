"""The use case behind every upload: check, store, commit, tell the queue (in that order, G1)."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
from sqlalchemy.orm import Session

from services.gateway import metrics
from services.gateway.http.responses import storage_unavailable
from services.gateway.uploads.fetch import fetch_all
from services.gateway.uploads.idempotency import check_same, request_hash
from services.gateway.uploads.intake import FileLimits, Refusal, refusal_problem
from services.gateway.uploads.photo import Examined, examine, store
from services.gateway.uploads.submission import Submission
from services.gateway.wiring import Gateway
from shared.contracts.errors import ImageErrorCode
from shared.core.errors import StorageError
from shared.core.logging import get_logger
from shared.db.jobs.rows import JobView, NewImage, NewJob, get_job, insert_job
from shared.db.queue import idempotency
from shared.db.queue.idempotency import KeptRequest

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job of a submission; `replayed` when an earlier request had made it."""

    view: JobView
    replayed: bool


async def accept(gateway: Gateway, submission: Submission) -> Accepted:
    """Make a job of `submission`; bytes and rows are durable when this returns.

    Refused photos become failed images of the job. Raises ProblemError when all are refused, the
    object store is away or the idempotency key is another request's, and database errors as they
    are; then there is no job.
    """
    limits = FileLimits(
        gateway.settings.gateway_max_image_bytes, gateway.settings.gateway_max_pixels
    )
    files = await gateway.in_store(functools.partial(_examine_all, submission, limits))
    key_hash = request_hash(submission, files) if submission.idempotency_key else None
    if key_hash:
        # Before anything is fetched or stored; `_insert` decides when two come at the same time.
        earlier = functools.partial(_find_earlier, submission, key_hash)
        if replayed := await gateway.in_database(earlier):
            return _counted(gateway, replayed)
    if submission.urls:
        images = await fetch_all(gateway, submission.tenant_id, submission.urls, limits)
        _check_any_usable(submission, _refusals(images))
    else:
        refused = {i: f.result for i, f in enumerate(files) if isinstance(f.result, Refusal)}
        _check_any_usable(submission, refused)
        images = await _store_all(gateway, submission, files)
    insert = functools.partial(_insert, submission, images, key_hash)
    return _counted(gateway, await gateway.in_database(insert))


def _counted(gateway: Gateway, accepted: Accepted) -> Accepted:
    if accepted.replayed:
        metrics.REPLAYED.inc()
        return accepted
    gateway.relay.poke()
    metrics.ACCEPTED.inc(sum(image.error_code is None for image, _ in accepted.view.images))
    return accepted


def _examine_all(submission: Submission, limits: FileLimits) -> list[Examined]:
    return [examine(file.filename, file.size, file.stream, limits) for file in submission.files]


def _refusals(images: Sequence[NewImage]) -> dict[int, Refusal]:
    return {
        index: Refusal(ImageErrorCode(image.error_code), image.error_detail or "")
        for index, image in enumerate(images)
        if image.error_code is not None
    }


def _check_any_usable(submission: Submission, refusals: Mapping[int, Refusal]) -> None:
    """Count the refused; raise their problem when no photo is left."""
    for refusal in refusals.values():
        metrics.REFUSED.labels(refusal.code.value).inc()
    if len(refusals) == len(submission.filenames):
        raise refusal_problem(submission.filenames, refusals)


async def _store_all(
    gateway: Gateway, submission: Submission, files: Sequence[Examined]
) -> list[NewImage]:
    """Store the good files, several at a time; the first failure spares the rest the attempt."""
    settings = gateway.settings
    images: dict[int, NewImage] = {}
    room = anyio.Semaphore(settings.gateway_store_threads_per_request)
    failures: list[StorageError] = []

    async def put(index: int, file: Examined) -> None:
        async with room:
            if failures:
                return
            work = functools.partial(store, gateway.store, submission.tenant_id, file)
            try:
                images[index] = await gateway.in_store(work)
            except StorageError as error:
                failures.append(error)

    with anyio.move_on_after(settings.gateway_store_seconds) as limit:
        async with anyio.create_task_group() as group:
            for index, file in enumerate(files):
                group.start_soon(put, index, file)
    if failures or limit.cancelled_caught:
        log.warning("storage.unavailable", error=str(failures[0]) if failures else "time is up")
        raise storage_unavailable()
    return [images[index] for index in range(len(files))]


def _find_earlier(submission: Submission, wanted: bytes, session: Session) -> Accepted | None:
    key = submission.idempotency_key or ""
    kept = idempotency.find(session, submission.tenant_id, key)
    return None if kept is None else _replay(session, submission, kept, wanted)


def _insert(
    submission: Submission, images: Sequence[NewImage], key_hash: bytes | None, session: Session
) -> Accepted:
    new = NewJob(
        tenant_id=submission.tenant_id,
        request_id=submission.request_id,
        images=images,
        listing_id=submission.listing_id,
        category=submission.category,
        extra=submission.metadata,
        webhook_url=submission.webhook_url,
        kind=submission.kind,
    )
    if key_hash and submission.idempotency_key:
        # First of all: whoever comes second waits here, before it has written anything.
        mine = KeptRequest(key_hash, "job", new.id)
        key = submission.idempotency_key
        if kept := idempotency.claim(session, submission.tenant_id, key, mine):
            return _replay(session, submission, kept, key_hash)
    insert_job(session, new)
    return Accepted(_read(session, submission, new), replayed=False)


def _replay(session: Session, submission: Submission, kept: KeptRequest, wanted: bytes) -> Accepted:
    check_same(kept, wanted)
    view = get_job(session, submission.tenant_id, kept.resource_id)
    if view is None:
        raise LookupError(f"job {kept.resource_id} of an idempotency key is gone")
    return Accepted(view, replayed=True)


def _read(session: Session, submission: Submission, new: NewJob) -> JobView:
    view = get_job(session, submission.tenant_id, new.id)
    if view is None:
        raise LookupError("the job just inserted is not there")
    return view
