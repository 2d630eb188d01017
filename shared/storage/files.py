"""Files of any size in S3: uploaded from a stream, listed, read at any place."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from shared.core.errors import ObjectMissing, StorageError
from shared.core.settings import BaseAppSettings
from shared.storage.s3 import MISSING_CODES, make_client

# Bytes read at once from a stream over S3, and bytes of one part of an upload.
_BLOCK = 1024 * 1024
_PART = 8 * 1024 * 1024
# How often a read is tried again that broke off. The client itself repeats what failed earlier.
_READ_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One object of a listing."""

    key: str
    size: int


class S3Files:
    """One bucket. Thread-safe. Raises ObjectMissing, and StorageError for what a retry may cure."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @classmethod
    def from_settings(
        cls, settings: BaseAppSettings, bucket: str | None = None, connections: int = 8
    ) -> "S3Files":
        """Return the files of `bucket`, by default that of the photos."""
        return cls(make_client(settings, connections), bucket or settings.s3_bucket)

    def put(self, key: str, stream: BinaryIO, size: int, content_type: str) -> None:
        """Store the `size` bytes of `stream`; holds one part of 8 MiB at a time."""
        try:
            self._client.put_object(
                self._bucket,
                key,
                stream,
                size,
                content_type=content_type,
                part_size=_PART,
                # Its threads for parallel parts wait for ever for a server that vanished.
                num_parallel_uploads=1,
            )
        except (MinioException, HTTPError, OSError) as error:
            _raise(key, error)

    def size(self, key: str) -> int:
        """Return the object's size in bytes."""
        try:
            return int(self._client.stat_object(self._bucket, key).size or 0)
        except (MinioException, HTTPError, OSError) as error:
            _raise(key, error)

    def read(self, key: str, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; fewer only at the object's end."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                response = self._client.get_object(self._bucket, key, offset, length)
                try:
                    return bytes(response.read())
                finally:
                    response.close()
                    response.release_conn()
            except S3Error as error:
                if error.code == "InvalidRange":
                    return b""
                _raise(key, error)
            except (MinioException, HTTPError, OSError) as error:
                if attempt == _READ_ATTEMPTS:
                    _raise(key, error)
        raise AssertionError("unreachable")

    def list(self, prefix: str, after: str | None = None) -> Iterator[StoredFile]:
        """Yield the objects below `prefix` in key order, those behind the key `after` only."""
        try:
            found = self._client.list_objects(
                self._bucket, prefix=prefix, recursive=True, start_after=after
            )
            for item in found:
                key = item.object_name or ""
                # Not every server takes `start_after` for exclusive.
                if not item.is_dir and (after is None or key > after):
                    yield StoredFile(key, int(item.size or 0))
        except (MinioException, HTTPError, OSError) as error:
            _raise(prefix, error)

    def open(self, key: str) -> BinaryIO:
        """Return a seekable, buffered stream over the object; reads what is asked for only."""
        return io.BufferedReader(_RangeReader(self, key, self.size(key)), _BLOCK)


class _RangeReader(io.RawIOBase):
    """A raw stream over ranged reads."""

    def __init__(self, files: S3Files, key: str, size: int) -> None:
        super().__init__()
        self._files = files
        self._key = key
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # typeshed's name
        """Fill `buffer` from the present place."""
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._files.read(self._key, self._at, wanted)
        if not data:
            raise StorageError(f"object {self._key!r} ends before its size")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _raise(key: str, error: Exception) -> NoReturn:
    if isinstance(error, S3Error):
        if error.code in MISSING_CODES:
            raise ObjectMissing(key) from error
        raise StorageError(f"{key!r}: {error.code}") from error
    raise StorageError(f"{key!r}: {error}") from error
