"""Object store on any S3 server, through the `minio` client."""

from io import BytesIO
from typing import Protocol
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from shared.core.errors import ObjectCorrupt, ObjectMissing, StorageError
from shared.core.settings import BaseAppSettings
from shared.storage.port import sha256_hex

MISSING_CODES = frozenset({"NoSuchKey", "NoSuchObject", "ResourceNotFound"})
_EXISTS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class _Response(Protocol):
    def read(self) -> bytes: ...
    def close(self) -> None: ...
    def release_conn(self) -> None: ...


def make_client(settings: BaseAppSettings, connections: int) -> Minio:
    """Return the client that `settings` describe; connects on first use."""
    url = urlsplit(str(settings.s3_endpoint))
    seconds = settings.s3_timeout_seconds
    pool = urllib3.PoolManager(
        maxsize=connections,
        timeout=urllib3.Timeout(connect=min(seconds, 3.0), read=seconds),
        retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        cert_reqs="CERT_REQUIRED",
        ca_certs=certifi.where(),
    )
    return Minio(
        url.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=url.scheme == "https",
        region=settings.s3_region,
        http_client=pool,
    )


class S3ObjectStore:
    """See `ObjectStore`. Thread-safe.

    Puts have a known length and a single part: minio's multipart upload has no time limit of its
    own. Two retries with a short backoff bridge a restarting server; the total time is bounded.
    """

    def __init__(self, client: Minio, bucket: str, region: str) -> None:
        self._client = client
        self._bucket = bucket
        self._region = region

    @classmethod
    def from_settings(cls, settings: BaseAppSettings, connections: int = 32) -> "S3ObjectStore":
        """Return the store that `settings` describe; connects on first use."""
        return cls(make_client(settings, connections), settings.s3_bucket, settings.s3_region)

    def ensure_ready(self) -> None:
        """Create the bucket when missing."""
        try:
            if not self._client.bucket_exists(self._bucket):
                self._client.make_bucket(self._bucket, location=self._region)
        except S3Error as error:
            if error.code not in _EXISTS:
                raise StorageError(f"bucket {self._bucket!r}: {error.code}") from error
        except (MinioException, HTTPError, OSError) as error:
            raise StorageError(f"bucket {self._bucket!r}: {error}") from error

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store in one request; returns after the server has answered 200."""
        try:
            self._client.put_object(
                self._bucket, key, BytesIO(data), len(data), content_type=content_type
            )
        except (MinioException, HTTPError, OSError) as error:
            raise StorageError(f"put {key!r}: {error}") from error

    def get(self, key: str, size: int, sha256: str) -> bytes:
        """Read the whole object and check that it is what was put."""
        try:
            response: _Response = self._client.get_object(self._bucket, key)
            try:
                data = response.read()
            finally:
                response.close()
                response.release_conn()
        except S3Error as error:
            if error.code in MISSING_CODES:
                raise ObjectMissing(key) from error
            raise StorageError(f"get {key!r}: {error.code}") from error
        except (MinioException, HTTPError, OSError) as error:
            raise StorageError(f"get {key!r}: {error}") from error
        if len(data) != size or sha256_hex(data) != sha256:
            raise ObjectCorrupt(f"object {key!r}: {len(data)} bytes read, {size} stored")
        return data

    def delete(self, key: str) -> None:
        """Remove the object."""
        try:
            self._client.remove_object(self._bucket, key)
        except (MinioException, HTTPError, OSError) as error:
            raise StorageError(f"delete {key!r}: {error}") from error
