"""Trunks go through a real MLflow store once, apart from the packages that share them."""

import shutil

import pytest

from shared.ml.errors import PackageError
from shared.ml.package import load_package
from shared.registry.digest import package_digest
from shared.registry.errors import PackageDamaged, TrunkMissing
from shared.registry.mlflow_client import open_client
from shared.registry.registry import ModelRegistry
from tests.support.packages import of_members, trunk_of


@pytest.fixture
def first(tmp_path):
    return of_members(tmp_path / "models" / "first", "1")


@pytest.fixture
def second(tmp_path):
    """Another release on the trunk of `first`."""
    return of_members(tmp_path / "models" / "second", "2")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def stored(tmp_path):
    """Return every file in MLflow's artifacts that is a trunk by its name."""

    def look():
        return list((tmp_path / "mlflow" / "artifacts").rglob(f"{'[0-9a-f]' * 64}.safetensors"))

    return look


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_releases_on_one_trunk_store_it_once_and_apart(registry, first, second, stored, tmp_path):
    # Wherever a package has its trunk, it travels without it.
    shutil.copytree(first.parent / "trunks", second / "trunks")
    versions = [registry.register(package) for package in (first, second)]
    assert [version.number for version in versions] == [1, 2]
    assert {version.trunk for version in versions} == {trunk_of(first).stem}
    (trunk,) = stored()
    assert trunk.parent.name == "trunk"
    assert trunk.read_bytes() == trunk_of(first).read_bytes()
    packages = list((tmp_path / "mlflow" / "artifacts").rglob("package/*/model.json"))
    assert len(packages) == 2


def test_a_package_comes_with_its_trunk_and_loads(registry, first, cache):
    version = registry.register(first)
    fetched = registry.fetch(version, cache)
    package = load_package(fetched)
    assert package_digest(fetched) == version.digest
    assert package.manifest == load_package(first).manifest
    assert package.trunk == cache / "trunks" / trunk_of(first).name
    # A second fetch needs no registry.
    assert ModelRegistry("sqlite:///nowhere.db", "x").fetch(version, cache) == fetched


def test_a_new_release_on_a_known_trunk_downloads_no_trunk(registry, first, second, stored, cache):
    registry.fetch(registry.register(first), cache)
    version = registry.register(second)
    for path in stored():
        path.unlink()
    assert load_package(registry.fetch(version, cache)).manifest.version == "2"


def test_a_trunk_altered_in_the_store_is_refused_and_leaves_nothing(registry, first, stored, cache):
    version = registry.register(first)
    (trunk,) = stored()
    trunk.write_bytes(trunk.read_bytes().upper())
    with pytest.raises(PackageDamaged, match=f"is not the trunk {trunk.name}.*altered"):
        registry.fetch(version, cache)
    assert names(cache) == ["trunks"]


def test_a_trunk_altered_in_the_cache_is_downloaded_again(registry, first, cache):
    version = registry.register(first)
    trunk = load_package(registry.fetch(version, cache)).trunk
    for harm in (lambda: trunk.write_bytes(b""), trunk.unlink):
        harm()
        assert load_package(registry.fetch(version, cache)).trunk == trunk


def test_a_trunk_that_the_registry_lost_is_named_and_comes_back_by_registering(
    registry, first, stored, cache
):
    version = registry.register(first)
    (trunk,) = stored()
    trunk.unlink()
    with pytest.raises(TrunkMissing, match=f"{trunk.name}: register a package"):
        registry.fetch(version, cache)
    assert names(cache) == []
    assert registry.register(first) == version
    assert load_package(registry.fetch(version, cache)).trunk


def test_a_trunk_whose_run_was_deleted_is_stored_again(registry, first, stored, cache):
    version = registry.register(first)
    (trunk,) = stored()
    client = open_client(registry.uri, create=False)
    client.delete_run(trunk.parent.parent.parent.name)
    with pytest.raises(TrunkMissing):
        registry.fetch(version, cache)
    assert registry.register(first) == version
    assert load_package(registry.fetch(version, cache)).trunk


def test_an_upload_that_broke_off_is_done_again(registry, first, stored, monkeypatch):
    """The trunk arrived, but the process died before the registry was told."""
    client = open_client(registry.uri, create=True)

    def die(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "set_registered_model_tag", die)
        with pytest.raises(KeyboardInterrupt):
            registry.register(first)
    assert registry.versions() == []
    assert registry.register(first).number == 1
    assert len(stored()) == 2


def test_a_package_without_its_trunk_is_not_registered(registry, first):
    trunk_of(first).unlink()
    with pytest.raises(PackageError, match="needs the trunk"):
        registry.register(first)
    assert registry.versions() == []
