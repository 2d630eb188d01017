"""Real servers, one set per session; a database, a Redis index and a bucket for each test."""

import itertools
from dataclasses import dataclass, field

import psycopg
import redis
from psycopg import sql

from infra.local.servers.urls import ServerUrls
from infra.local.stack import Stack
from shared.core.settings import BaseAppSettings
from shared.db.migrate import upgrade
from shared.keys.secret_keys import new_secret_key
from shared.storage.s3 import S3ObjectStore

_TEMPLATE = "detector_template"
# Encrypts webhooks' signing secrets in every test's database.
WEBHOOK_KEY = new_secret_key()
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Servers:
    """One test's own part of the servers."""

    database_url: str
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str
    stack: Stack = field(repr=False)

    def environment(self) -> dict[str, str]:
        """Return the DETECTOR_* variables that lead a service here."""
        return {
            "DETECTOR_DATABASE_URL": self.database_url,
            "DETECTOR_REDIS_URL": self.redis_url,
            "DETECTOR_S3_ENDPOINT": self.s3_endpoint,
            "DETECTOR_S3_ACCESS_KEY": self.s3_access_key,
            "DETECTOR_S3_SECRET_KEY": self.s3_secret_key,
            "DETECTOR_S3_BUCKET": self.s3_bucket,
            "DETECTOR_WEBHOOK_SECRET_KEYS": WEBHOOK_KEY,
        }

    def settings(self) -> BaseAppSettings:
        """Return the base settings of these servers."""
        return BaseAppSettings(
            database_url=self.database_url,
            redis_url=self.redis_url,
            s3_endpoint=self.s3_endpoint,
            s3_access_key=self.s3_access_key,
            s3_secret_key=self.s3_secret_key,
            s3_bucket=self.s3_bucket,
        )

    def store(self) -> S3ObjectStore:
        """Return the object store, its bucket made."""
        store = S3ObjectStore.from_settings(self.settings())
        store.ensure_ready()
        return store


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://")


def _with_database(url: str, name: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")


def _admin(urls: ServerUrls, statement: sql.Composed) -> None:
    with psycopg.connect(_plain(urls.database_url), autocommit=True) as connection:
        connection.execute(statement)


def prepare_template(urls: ServerUrls) -> None:
    """Make the migrated database that every test's own is copied from."""
    # Servers and services are killed here, but the machine is not: what was written stays.
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):
        _admin(urls, sql.SQL(statement).format())
    _admin(urls, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
    upgrade(_with_database(urls.database_url, _TEMPLATE))


def provide(stack: Stack) -> Servers:
    """Return a fresh database, an emptied Redis index and a new bucket's name."""
    urls, number = stack.urls, next(_numbers)
    name = f"test_{number}"
    _admin(
        urls,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(_TEMPLATE)
        ),
    )
    redis_url = f"{urls.redis_url.rsplit('/', 1)[0]}/{number % 16}"
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    return Servers(
        database_url=_with_database(urls.database_url, name),
        redis_url=redis_url,
        s3_endpoint=urls.s3_endpoint,
        s3_access_key=urls.s3_access_key,
        s3_secret_key=urls.s3_secret_key,
        s3_bucket=f"test-{number}",
        stack=stack,
    )


def drop(servers: Servers) -> None:
    """Drop the test's database, so that the next templates do not wait for its connections."""
    name = servers.database_url.partition("?")[0].rsplit("/", 1)[1]
    _admin(
        servers.stack.urls,
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)),
    )
