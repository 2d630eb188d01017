"""The three servers, spoken to directly: PostgreSQL, Redis, S3."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit
from uuid import uuid4

from services.cli.doctor.result import Check, Finding, fail, ok, one_line, warn
from services.cli.servers import masked

_MISSING = "Run `make up`, or set it (docs/configuration.md). A client alone does not need it."
_S3_NAMES = ("DETECTOR_S3_ENDPOINT", "DETECTOR_S3_ACCESS_KEY", "DETECTOR_S3_SECRET_KEY")


def server_checks(settings: Mapping[str, str]) -> list[Check]:
    """Return the checks for what `settings` (`DETECTOR_*` variables) name."""
    return [
        Check("database", _needing(settings, ["DETECTOR_DATABASE_URL"], database)),
        Check("redis", _needing(settings, ["DETECTOR_REDIS_URL"], redis)),
        Check("object store", _needing(settings, _S3_NAMES, object_store)),
    ]


def _needing(
    settings: Mapping[str, str],
    names: "list[str] | tuple[str, ...]",
    check: Callable[[Mapping[str, str]], Finding],
) -> Callable[[], Finding]:
    missing = [name for name in names if not settings.get(name)]
    if missing:
        finding = warn(f"{', '.join(missing)} not set", _MISSING)
        return lambda: finding
    return lambda: check(settings)


def database(settings: Mapping[str, str]) -> Finding:
    """Check that PostgreSQL answers and has the newest schema."""
    from sqlalchemy.exc import ArgumentError, OperationalError

    from shared.db.migrate import revisions

    url = settings["DETECTOR_DATABASE_URL"]
    form = "postgresql+psycopg://user:password@host:port/database"
    try:
        current, head = revisions(url)
    except (ArgumentError, ImportError):
        return fail("DETECTOR_DATABASE_URL has the wrong form", f"Write it as {form}.")
    except OperationalError as error:
        return fail(
            f"{masked(url)}: {one_line(error.orig or error)}",
            "Start PostgreSQL (`make up`), or correct DETECTOR_DATABASE_URL.",
        )
    if current != head:
        return fail(
            f"{masked(url)} is at {current or 'no revision'}, the code at {head}",
            "Run `detector db upgrade`.",
        )
    return ok(f"{masked(url)}, schema {current}")


def redis(settings: Mapping[str, str]) -> Finding:
    """Check that Redis answers a ping."""
    from redis import Redis
    from redis.exceptions import RedisError

    url = settings["DETECTOR_REDIS_URL"]
    try:
        client = Redis.from_url(url, socket_timeout=3.0, socket_connect_timeout=3.0)
        with client:
            client.ping()
    except ValueError as error:
        return fail(one_line(error), "Write DETECTOR_REDIS_URL as redis://:password@host:port/0.")
    except RedisError as error:
        return fail(
            f"{_host(url)}: {one_line(error)}",
            "Start Redis (`make up`), or correct DETECTOR_REDIS_URL."
            " Accepted photos are safe: they wait in the database.",
        )
    return ok(f"{_host(url)} answers")


def object_store(settings: Mapping[str, str]) -> Finding:
    """Check that the bucket is there and that an object can be written, read and removed."""
    import urllib3
    from minio import Minio
    from minio.error import MinioException, S3Error

    from shared.core.errors import StorageError
    from shared.storage.port import sha256_hex
    from shared.storage.s3 import S3ObjectStore

    endpoint = settings["DETECTOR_S3_ENDPOINT"]
    bucket = settings.get("DETECTOR_S3_BUCKET") or "photos"
    region = settings.get("DETECTOR_S3_REGION") or "us-east-1"
    where = f"{endpoint} bucket {bucket!r}"
    mend = "Start it (`make up`), or correct DETECTOR_S3_ENDPOINT."
    try:
        client = Minio(
            urlsplit(endpoint).netloc,
            access_key=settings["DETECTOR_S3_ACCESS_KEY"],
            secret_key=settings["DETECTOR_S3_SECRET_KEY"],
            secure=urlsplit(endpoint).scheme == "https",
            region=region,
            http_client=urllib3.PoolManager(timeout=3.0, retries=False),
        )
        if not client.bucket_exists(bucket):
            return fail(
                f"{where} does not exist", "Start the gateway: it makes the bucket. Or make it."
            )
        store, key = S3ObjectStore(client, bucket, region), f"doctor/{uuid4()}"
        store.put(key, b"doctor", "text/plain")
        store.get(key, 6, sha256_hex(b"doctor"))
        store.delete(key)
    except S3Error as error:
        return fail(f"{where}: {error.code}", "Correct DETECTOR_S3_ACCESS_KEY and _SECRET_KEY.")
    except StorageError as error:
        return fail(f"{where}: {one_line(error)}", "Let the key read and write in this bucket.")
    except (MinioException, urllib3.exceptions.HTTPError, ValueError, OSError) as error:
        return fail(f"{where}: {one_line(error)}", mend)
    return ok(f"{where}: written, read, removed")


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"
