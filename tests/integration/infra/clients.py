"""Small clients of the three servers."""

from typing import Any

import psycopg
import redis
import urllib3
from minio import Minio
from redis.backoff import NoBackoff
from redis.retry import Retry

from infra.local import ServerUrls


def connect(urls: ServerUrls) -> psycopg.Connection[Any]:
    dsn = urls.database_url.replace("+psycopg", "")
    return psycopg.connect(dsn, autocommit=True, connect_timeout=3)


def broker(urls: ServerUrls) -> redis.Redis:
    return redis.Redis.from_url(urls.redis_url, socket_timeout=3, retry=Retry(NoBackoff(), 0))


class Store:
    """An S3 client that tries once; use in a `with` block."""

    def __init__(self, urls: ServerUrls, access_key: str = "", secret_key: str = "") -> None:
        self._pool = urllib3.PoolManager(timeout=5, retries=False)
        self.client = Minio(
            urls.s3_endpoint.removeprefix("http://"),
            access_key=access_key or urls.s3_access_key,
            secret_key=secret_key or urls.s3_secret_key,
            secure=False,
            region="us-east-1",
            http_client=self._pool,
        )

    def __enter__(self) -> Minio:
        return self.client

    def __exit__(self, *_: object) -> None:
        self._pool.clear()
