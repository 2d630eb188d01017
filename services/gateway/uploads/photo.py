"""Checking and storing one photo, wherever it came from. Blocking: run it in a thread."""

import hashlib
import time
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from services.gateway import metrics
from services.gateway.uploads.intake import FileLimits, Refusal, inspect
from shared.db.jobs.rows import NewImage
from shared.ml.formats.header import ImageHeader
from shared.storage.port import ObjectStore, image_key

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that was looked at: its digest, and its header or why it is refused."""

    filename: str
    size: int
    stream: BinaryIO
    sha256: str
    result: ImageHeader | Refusal
    source_url: str | None = None


def examine(
    filename: str, size: int, stream: BinaryIO, limits: FileLimits, source_url: str | None = None
) -> Examined:
    """Hash the whole file and check its header."""
    stream.seek(0)
    digest = hashlib.sha256()
    while part := stream.read(_READ_BYTES):
        digest.update(part)
    stream.seek(0)
    result = inspect(stream, size, limits)
    return Examined(filename, size, stream, digest.hexdigest(), result, source_url)


def refused(filename: str, size: int, refusal: Refusal, source_url: str | None = None) -> NewImage:
    """Return the row of a photo that is not taken."""
    return NewImage(
        filename,
        size,
        error_code=refusal.code.value,
        error_detail=refusal.detail,
        source_url=source_url,
    )


def store(objects: ObjectStore, tenant_id: UUID, file: Examined) -> NewImage:
    """Put a file under its content's key and return its row; a refused file only gets a row.

    Raises StorageError.
    """
    if isinstance(file.result, Refusal):
        return refused(file.filename, file.size, file.result, file.source_url)
    started = time.perf_counter()
    file.stream.seek(0)
    data = file.stream.read()
    key = image_key(tenant_id, file.sha256)
    objects.put(key, data, file.result.mime)
    metrics.STORE_SECONDS.observe(time.perf_counter() - started)
    return NewImage(
        filename=file.filename,
        size=len(data),
        sha256=file.sha256,
        object_key=key,
        content_type=file.result.mime,
        width=file.result.width,
        height=file.result.height,
        source_url=file.source_url,
    )
