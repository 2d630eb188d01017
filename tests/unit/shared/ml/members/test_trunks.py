"""Trunks lie once in a folder, under their hash, and only whole."""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.ml.errors import PackageError
from shared.ml.members.trunks import TrunkStore
from shared.ml.package import load_package
from shared.ml.spec import FileEntry, trunk_name
from shared.registry.digest import package_digest
from tests.support.packages import of_members, trunk_of

CONTENT = b"the first blocks"


def entry_of(content: bytes) -> FileEntry:
    digest = hashlib.sha256(content).hexdigest()
    return FileEntry(name=trunk_name(digest), sha256=digest, size_bytes=len(content))


@pytest.fixture
def store(tmp_path):
    return TrunkStore(tmp_path / "trunks")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def package(tmp_path):
    return of_members(tmp_path / "models" / "package", "1")


def names(store: TrunkStore) -> list[str]:
    return [path.name for path in store.folder.iterdir()]


def test_a_trunk_is_found_where_it_was_put(store, source):
    entry = entry_of(CONTENT)
    assert store.find(entry) is None
    path = store.put(source, entry)
    assert path == store.find(entry) == store.put(source, entry)
    assert path.read_bytes() == CONTENT
    assert names(store) == [entry.name]
    assert path.stat().st_mode & 0o777 == 0o644


def test_other_bytes_are_not_taken_and_leave_nothing(store, source):
    source.write_bytes(CONTENT.upper())
    with pytest.raises(PackageError, match=r"source is not the trunk .*altered"):
        store.put(source, entry_of(CONTENT))
    assert names(store) == []


def test_an_altered_trunk_is_refused_and_put_right(store, source):
    entry = entry_of(CONTENT)
    store.put(source, entry).write_bytes(CONTENT.upper())
    with pytest.raises(PackageError, match="altered"):
        store.find(entry)
    assert store.put(source, entry).read_bytes() == CONTENT


def test_a_name_that_is_not_the_hash_is_refused(store, source):
    entry = entry_of(CONTENT).model_copy(update={"name": "trunk.safetensors"})
    for act in (lambda: store.find(entry), lambda: store.put(source, entry)):
        with pytest.raises(PackageError, match="named by its hash"):
            act()


def test_many_may_put_the_same_trunk_at_once(store, source):
    entry = entry_of(CONTENT)
    with ThreadPoolExecutor(8) as threads:
        paths = set(threads.map(lambda _: store.put(source, entry), range(32)))
    assert paths == {store.find(entry)}
    assert names(store) == [entry.name]


def test_only_old_trunks_that_nobody_needs_are_deleted(store, tmp_path):
    kept, old, young = (entry_of(content) for content in (b"kept", b"old", b"young"))
    for content, entry in ((b"kept", kept), (b"old", old), (b"young", young)):
        (tmp_path / "source").write_bytes(content)
        store.put(tmp_path / "source", entry)
    (store.folder / "README.md").write_text("not ours")
    (store.folder / ".put-killed").write_bytes(b"half")
    for path in store.folder.iterdir():
        if path.name != young.name:
            os.utime(path, (time.time() - 7200,) * 2)
    store.prune({kept.name}, 3600)
    assert sorted(names(store)) == sorted([kept.name, young.name, "README.md"])


def test_a_missing_folder_has_nothing_to_delete(store):
    store.prune((), 0)
    assert not store.folder.exists()


def test_a_package_takes_its_trunk_from_beside_it_or_from_within(package):
    beside = load_package(package).trunk
    assert beside == trunk_of(package)
    digest = package_digest(package)
    shutil.move(package.parent / "trunks", package / "trunks")
    within = load_package(package).trunk
    assert within == package / "trunks" / beside.name
    assert package_digest(package) == digest


def test_packages_on_other_trunks_have_other_digests(package, tmp_path):
    other = of_members(tmp_path / "other" / "package", "1", b"another trunk")
    assert package_digest(other) != package_digest(package)


def test_a_missing_trunk_is_named_with_where_it_was_looked_for(package):
    trunk_of(package).unlink()
    with pytest.raises(PackageError, match=rf"needs the trunk {trunk_of(package).name}.*copy it"):
        load_package(package)


def test_an_altered_trunk_makes_no_package(package):
    trunk_of(package).write_bytes(b"A trunk")
    with pytest.raises(PackageError, match="altered"):
        load_package(package)


@pytest.mark.parametrize("name", ["trunk.safetensors", trunk_name("0" * 64)])
def test_a_manifest_must_name_its_trunk_by_the_hash(package, name):
    path = package / "model.json"
    manifest = json.loads(path.read_text())
    manifest["trunk"]["file"]["name"] = name
    path.write_text(json.dumps(manifest))
    with pytest.raises(PackageError, match="a trunk is named by its hash"):
        load_package(package)
