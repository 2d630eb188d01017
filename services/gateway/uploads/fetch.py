"""Photos given by URL: fetched by the guarded client, checked and stored before the answer (G1)."""

import functools
import io
import time
from collections.abc import Sequence
from uuid import UUID

import anyio

from services.gateway import metrics
from services.gateway.http.responses import storage_unavailable
from services.gateway.uploads.intake import FileLimits, Refusal
from services.gateway.uploads.photo import examine, refused, store
from services.gateway.uploads.submission import UrlPhoto
from services.gateway.wiring import Gateway
from shared.contracts.errors import ImageErrorCode
from shared.core.errors import StorageError
from shared.core.logging import get_logger
from shared.db.jobs.rows import NewImage
from shared.net import FetchError

log = get_logger(__name__)


async def fetch_all(
    gateway: Gateway, tenant_id: UUID, photos: Sequence[UrlPhoto], limits: FileLimits
) -> list[NewImage]:
    """Fetch and store `photos`, several at a time; one that cannot be had becomes a failed row.

    Each photo's bytes are let go as soon as they are stored. Raises ProblemError when the object
    store is away.
    """
    settings = gateway.settings
    deadline = time.monotonic() + settings.gateway_fetch_total_seconds
    room = anyio.Semaphore(settings.gateway_fetch_threads_per_request)
    images: dict[int, NewImage] = {}
    failures: list[StorageError] = []

    async def take(index: int, photo: UrlPhoto) -> None:
        async with room:
            if failures:
                return
            work = functools.partial(_take, gateway, tenant_id, photo, limits, deadline)
            try:
                images[index] = await gateway.in_fetch(work)
            except StorageError as error:
                failures.append(error)

    async with anyio.create_task_group() as group:
        for index, photo in enumerate(photos):
            group.start_soon(take, index, photo)
    if failures:
        log.warning("storage.unavailable", error=str(failures[0]))
        raise storage_unavailable()
    return [images[index] for index in range(len(photos))]


def _take(
    gateway: Gateway, tenant_id: UUID, photo: UrlPhoto, limits: FileLimits, deadline: float
) -> NewImage:
    started = time.monotonic()
    seconds = min(gateway.settings.fetch_seconds, max(0.0, deadline - started))
    try:
        # No time left: the client says so without a connection.
        body = gateway.fetcher.get_bytes(photo.url, limits.max_bytes, seconds).body
    except FetchError as error:
        metrics.FETCHES.labels(error.code.value).inc()
        refusal = Refusal(ImageErrorCode(error.code.value), error.detail)
        return refused(photo.filename, 0, refusal, photo.url)
    metrics.FETCHES.labels("done").inc()
    metrics.FETCH_SECONDS.observe(time.monotonic() - started)
    file = examine(photo.filename, len(body), io.BytesIO(body), limits, photo.url)
    return store(gateway.store, tenant_id, file)
