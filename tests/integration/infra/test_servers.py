"""The three servers answer, keep strangers out, and are set as the product needs them."""

import io
import os
import stat
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import urllib3
from minio.error import S3Error

from infra.local import Stack
from tests.integration.infra.clients import Store, broker, connect


def test_postgres_answers_and_is_durable(stack: Stack) -> None:
    with connect(stack.urls) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        }
        encoding = connection.execute("SHOW server_encoding").fetchone()[0]
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": "64MB",
    }
    assert encoding == "UTF8"


def test_valkey_answers_and_neither_stores_nor_evicts(stack: Stack) -> None:
    with broker(stack.urls) as client:
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "no"}
        assert client.config_get("save") == {"save": ""}


def test_s3_stores_reads_and_deletes_small_and_large_objects(stack: Stack) -> None:
    large = os.urandom(20_000_000)
    with Store(stack.urls) as store:
        store.make_bucket("bucket")
        for name, content in (("small", b"x"), ("large", large)):
            store.put_object("bucket", name, io.BytesIO(content), len(content))
            with store.get_object("bucket", name) as response:
                assert response.read() == content
        store.remove_object("bucket", "large")
        assert [found.object_name for found in store.list_objects("bucket")] == ["small"]
        with pytest.raises(S3Error, match="NoSuchKey"):
            store.stat_object("bucket", "large")


def test_s3_flushes_objects_to_disk(stack: Stack) -> None:
    """The rule is in the filer, which applies it to every object of every bucket."""
    filer = next(
        argument.partition("=")[2]
        for argument in psutil.Process(stack.server("seaweedfs").pid).cmdline()
        if argument.startswith("-filer.port=")
    )
    url = f"http://127.0.0.1:{filer}/etc/seaweedfs/filer.conf"
    rule = urllib3.request("GET", url).json()["locations"][0]
    assert rule == {"locationPrefix": "/buckets/", "fsync": True}


def test_s3_does_not_create_a_missing_bucket(stack: Stack) -> None:
    with Store(stack.urls) as store, pytest.raises(S3Error, match="NoSuchBucket"):
        store.put_object("missing", "name", io.BytesIO(b"x"), 1)


@pytest.mark.parametrize(
    ("access_key", "secret_key", "code"),
    [("", "wrong", "SignatureDoesNotMatch"), ("wrong", "", "InvalidAccessKeyId")],
)
def test_s3_refuses_wrong_keys(stack: Stack, access_key: str, secret_key: str, code: str) -> None:
    with Store(stack.urls, access_key, secret_key) as store, pytest.raises(S3Error, match=code):
        store.list_buckets()


def test_s3_refuses_requests_without_a_signature(stack: Stack) -> None:
    assert urllib3.request("GET", f"{stack.urls.s3_endpoint}/").status == 403


def test_postgres_refuses_a_wrong_password(stack: Stack) -> None:
    url = stack.urls.database_url.replace("+psycopg", "")
    scheme, _, rest = url.partition("://detector:")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{scheme}://detector:wrong@{rest.partition('@')[2]}")


def test_valkey_refuses_without_a_password(stack: Stack) -> None:
    address = stack.urls.redis_url.partition("@")[2]
    with (
        redis.Redis.from_url(f"redis://{address}") as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_all_ports_are_on_loopback(stack: Stack) -> None:
    listening = [
        connection.laddr.ip
        for program in stack.programs
        for connection in psutil.Process(program.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}
    # PostgreSQL and Valkey one each, SeaweedFS five parts with HTTP and gRPC each.
    assert len(listening) == 12


def test_secrets_are_closed_to_other_users(stack: Stack) -> None:
    root = stack.layout.root
    assert stat.S_IMODE(stack.layout.secrets.stat().st_mode) == 0o600
    open_to_others = [
        path
        for path in root.iterdir()
        if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_no_secret_is_among_the_arguments(stack: Stack) -> None:
    """Every user of the machine can list arguments."""
    secrets = Path(stack.layout.secrets).read_text().split('"')[3::4]
    arguments = [
        argument for program in stack.programs for argument in psutil.Process(program.pid).cmdline()
    ]
    assert len(secrets) == 6
    assert not [a for a in arguments if any(secret in a for secret in secrets)]
