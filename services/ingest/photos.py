"""From a row to a stored photo: fetch, look at the header, hash, put."""

import functools
import io
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit
from uuid import UUID

from services.ingest.sources.prefix import relative_key
from services.ingest.sources.rows import ReadPhoto, RowProblem, SourceRow
from shared.contracts.catalogs import RowErrorCode, import_prefix
from shared.contracts.errors import ImageErrorCode
from shared.core.errors import ObjectMissing, StorageError
from shared.core.texts import storable
from shared.db.catalogs.reading import ReadRow
from shared.db.jobs.rows import NewImage
from shared.ml.errors import UnreadableImage
from shared.ml.formats.header import ImageHeader, read_header
from shared.net import FetchError, FetchErrorCode, GuardedClient
from shared.storage.files import S3Files
from shared.storage.port import ObjectStore, image_key, sha256_hex

# What another moment may cure, and the pauses before the next tries, in seconds.
_PASSING = frozenset({FetchErrorCode.FETCH_TIMEOUT, FetchErrorCode.FETCH_FAILED})
_PAUSES = (0.5, 2.0)
_NAME_LENGTH = 255
# Photos whose bytes were just stored: a catalog repeats some of them again and again.
_REMEMBERED = 10_000


class Readers:
    """Reads the photos that one tenant's manifests name (see PhotoReaders). Thread-safe."""

    def __init__(
        self, client: GuardedClient, files: S3Files, tenant_id: UUID, fetch_seconds: float
    ) -> None:
        self._client = client
        self._files = files
        self._root = import_prefix(tenant_id)
        self._seconds = fetch_seconds

    def by_url(self, url: str) -> ReadPhoto:
        """Return what fetches `url`, through the guard."""
        return functools.partial(self._fetch, url)

    def by_key(self, key: str) -> ReadPhoto:
        """Return what reads the object `key` below the tenant's import prefix."""
        return functools.partial(self._read, key)

    def _fetch(self, url: str, max_bytes: int) -> bytes:
        for pause in (*_PAUSES, None):
            try:
                return self._client.get_bytes(url, max_bytes, self._seconds).body
            except FetchError as error:
                busy = error.status is not None and (error.status >= 500 or error.status == 429)
                if pause is None or not (busy or error.code in _PASSING):
                    raise RowProblem(error.code.value, error.detail) from error
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _read(self, key: str, max_bytes: int) -> bytes:
        try:
            # One byte more than allowed tells a photo that is too large.
            data = self._files.read(self._root + relative_key(key), 0, max_bytes + 1)
        except ObjectMissing as error:
            detail = f"there is no object {key!r} below your import prefix"
            raise RowProblem(RowErrorCode.KEY_NOT_FOUND.value, detail) from error
        if len(data) > max_bytes:
            detail = f"the object has more than {max_bytes} bytes"
            raise RowProblem(ImageErrorCode.TOO_LARGE.value, detail)
        return data


@dataclass(frozen=True, slots=True)
class PhotoLimits:
    """Bytes of one photo; pixels of it, all frames together."""

    max_bytes: int
    max_pixels: int


class PhotoLoader:
    """Stores the photos of one tenant's rows. Thread-safe."""

    def __init__(self, store: ObjectStore, tenant_id: UUID, limits: PhotoLimits) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._limits = limits
        self._stored: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, row: SourceRow) -> ReadRow:
        """Return the row with its photo stored, or with the reason why there is none.

        Raises StorageError when the store does not answer: the row is then neither.
        """
        try:
            return self._read_row(row, self._photo(row))
        except RowProblem as problem:
            return self._read_row(row, None, problem)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this row's alone (G4)
            detail = f"{type(error).__name__}: {error}"
            unknown = RowProblem(ImageErrorCode.UNREADABLE_IMAGE.value, storable(detail, 500))
            return self._read_row(row, None, unknown)

    def _photo(self, row: SourceRow) -> NewImage:
        if row.problem is not None or row.read is None:
            raise row.problem or RowProblem(RowErrorCode.INVALID_ROW.value, "no photo")
        data = row.read(self._limits.max_bytes)
        header = self._inspect(data)
        sha256 = sha256_hex(data)
        key = image_key(self._tenant_id, sha256)
        if not self._was_stored(sha256):
            self._store.put(key, data, header.mime)
            self._remember(sha256)
        return NewImage(
            filename=_filename(row),
            size=len(data),
            sha256=sha256,
            object_key=key,
            content_type=header.mime,
            width=header.width,
            height=header.height,
            source_url=row.source_url,
        )

    def _inspect(self, data: bytes) -> ImageHeader:
        try:
            header = read_header(io.BytesIO(data))
        except UnreadableImage as error:
            raise RowProblem(error.code, error.detail) from error
        pixels = header.pixels_of_all_frames
        if pixels > self._limits.max_pixels:
            detail = f"{pixels} pixels; at most {self._limits.max_pixels} are allowed"
            raise RowProblem(ImageErrorCode.TOO_MANY_PIXELS.value, detail)
        return header

    def _was_stored(self, sha256: str) -> bool:
        with self._lock:
            if sha256 not in self._stored:
                return False
            self._stored.move_to_end(sha256)
            return True

    def _remember(self, sha256: str) -> None:
        with self._lock:
            self._stored[sha256] = None
            if len(self._stored) > _REMEMBERED:
                self._stored.popitem(last=False)

    @staticmethod
    def _read_row(
        row: SourceRow, image: NewImage | None, problem: RowProblem | None = None
    ) -> ReadRow:
        return ReadRow(
            line=row.line,
            source=row.source,
            custom_id=row.custom_id,
            listing_id=row.listing_id,
            category=row.category,
            image=image,
            error_code=problem.code if problem else None,
            error_detail=problem.detail if problem else None,
        )


def _filename(row: SourceRow) -> str:
    """Return the last part of the URL, key or name."""
    path = urlsplit(row.source).path if row.source_url else row.source
    name = PurePosixPath(unquote(path)).name or "photo"
    return storable(name, _NAME_LENGTH)
