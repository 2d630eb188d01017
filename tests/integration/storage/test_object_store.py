"""One contract for every object store: S3 over a real server, and the one in memory."""

from uuid import uuid4

import pytest

from shared.core.errors import ObjectCorrupt, ObjectMissing, StorageError
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import image_key, sha256_hex
from shared.storage.s3 import S3ObjectStore

DATA = bytes(range(256)) * 400
DIGEST = sha256_hex(DATA)


@pytest.fixture(params=["s3", "memory"])
def store(request, servers):
    return servers.store() if request.param == "s3" else MemoryObjectStore()


def test_what_was_put_is_read_back(store):
    key = image_key(uuid4(), DIGEST)
    store.put(key, DATA, "image/jpeg")
    store.put(key, DATA, "image/jpeg")
    assert store.get(key, len(DATA), DIGEST) == DATA


def test_a_missing_key_is_told_from_a_store_that_is_away(store):
    with pytest.raises(ObjectMissing):
        store.get("tenants/none/images/00/00", 1, DIGEST)


@pytest.mark.parametrize(("size", "digest"), [(len(DATA) + 1, DIGEST), (len(DATA), "0" * 64)])
def test_other_bytes_than_were_stored_are_noticed(store, size, digest):
    store.put("k", DATA, "image/jpeg")
    with pytest.raises(ObjectCorrupt):
        store.get("k", size, digest)


def test_a_deleted_object_is_gone_and_deleting_again_is_harmless(store):
    store.put("gone", DATA, "image/jpeg")
    store.delete("gone")
    store.delete("gone")
    with pytest.raises(ObjectMissing):
        store.get("gone", len(DATA), DIGEST)


def test_preparing_twice_is_harmless(store):
    store.ensure_ready()
    store.ensure_ready()


def test_wrong_keys_are_refused(servers):
    servers.store()
    settings = servers.settings().model_copy(
        update={"s3_secret_key": type(servers.settings().s3_secret_key)("wrong")}
    )
    with pytest.raises(StorageError):
        S3ObjectStore.from_settings(settings).put("k", DATA, "image/jpeg")


def test_a_store_that_is_away_is_a_storage_error_soon(servers):
    settings = servers.settings().model_copy(
        update={"s3_endpoint": "http://127.0.0.1:9/", "s3_timeout_seconds": 1.0}
    )
    with pytest.raises(StorageError):
        S3ObjectStore.from_settings(settings).get("k", 1, DIGEST)
