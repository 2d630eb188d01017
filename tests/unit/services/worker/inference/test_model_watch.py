"""A worker's model follows the alias of a real registry; faults leave the served one alone."""

import os
import threading
import time
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from services.worker.inference.model_watch import ModelWatch, Source, first_model
from services.worker.inference.serving import ModelServer
from services.worker.settings import WorkerSettings
from services.worker.wiring import model_loader
from shared.core.ids import new_id
from shared.db.jobs.leases import LeasedImage
from shared.ml.package import load_package
from shared.registry.registry import ModelRegistry
from shared.storage.memory import MemoryObjectStore
from shared.storage.port import image_key, sha256_hex
from tests.support.packages import ONE_NETWORK, broken_variant, of_members, variant
from tests.support.photos import jpeg

SHIPPED_VERSION = load_package(ONE_NETWORK).manifest.version


@pytest.fixture
def settings() -> WorkerSettings:
    return WorkerSettings(
        database_url="postgresql+psycopg://unused",
        redis_url="redis://unused",
        s3_endpoint="http://unused",
        s3_access_key="unused",
        s3_secret_key="unused",
        worker_engine="openvino",
        worker_batch_size=2,
        worker_inference_threads=1,
    )


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def loader(settings, store):
    return model_loader(settings, store)


@pytest.fixture
def source(registry, tmp_path):
    return Source(registry, "champion", tmp_path / "cache")


@pytest.fixture
def server(source, loader):
    server = ModelServer(first_model(None, ONE_NETWORK, loader))
    yield server
    server.close()


@pytest.fixture
def watch(source, server, loader):
    return ModelWatch(source, server, loader, 60)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def leased(store: MemoryObjectStore, number: int) -> LeasedImage:
    data = jpeg(number)
    key = image_key(uuid4(), sha256_hex(data))
    store.put(key, data, "image/jpeg")
    return LeasedImage(new_id(), new_id(), key, sha256_hex(data), len(data), 1, "request")


def promote(registry: ModelRegistry, directory) -> None:
    registry.set_alias("champion", registry.register(directory).number)


def test_a_promotion_is_taken_and_named_in_verdicts_and_metrics(
    watch, server, registry, store, tmp_path
):
    watch.look()
    assert server.current.version == SHIPPED_VERSION  # no champion yet: nothing happens
    promote(registry, variant(tmp_path / "b", "b", 0.5))
    watch.look()
    (outcome,) = server.run([leased(store, 1)])
    assert outcome.model_version == server.current.version == "b"
    name = server.current.engine.name
    assert metric("detector_worker_model_info", version="b", engine=name) == 1
    assert metric("detector_worker_model_info", version=SHIPPED_VERSION, engine=name) == 0
    assert metric("detector_worker_registry_up") == 1


def test_a_chunk_ends_with_the_model_that_it_began_with(watch, server, registry, store, tmp_path):
    """The swap itself waits for no chunk, and the old model lives until its last one is done."""
    old = server.run([leased(store, number) for number in range(3)])
    first = next(old)
    promote(registry, variant(tmp_path / "b", "b", 0.5))
    looking = threading.Thread(target=watch.look)
    looking.start()
    while server.current.version != "b":
        looking.join(0.02)
    (during,) = server.run([leased(store, 9)])
    assert looking.is_alive()
    rest = list(old)
    looking.join(30)
    assert not looking.is_alive()
    assert [o.model_version for o in (first, *rest)] == [SHIPPED_VERSION] * 3
    assert during.model_version == "b"


def test_a_package_that_cannot_be_loaded_is_refused_once(watch, server, registry, tmp_path):
    refused = metric("detector_worker_model_swaps_total", result="refused")
    promote(registry, broken_variant(tmp_path / "broken", "broken"))
    for _ in range(3):
        watch.look()
    assert server.current.version == SHIPPED_VERSION
    assert metric("detector_worker_model_swaps_total", result="refused") == refused + 1
    promote(registry, variant(tmp_path / "good", "good"))
    watch.look()
    assert server.current.version == "good"


def test_a_damaged_download_is_not_served(watch, server, registry, tmp_path):
    promote(registry, variant(tmp_path / "b", "b"))
    (weights,) = (tmp_path / "mlflow" / "artifacts").rglob("model.bin")
    weights.write_bytes(weights.read_bytes()[:-1])
    watch.look()
    assert server.current.version == SHIPPED_VERSION
    assert metric("detector_worker_registry_up") == 0


def test_while_the_registry_is_away_the_last_champion_serves_even_after_a_restart(
    watch, server, source, registry, loader, tmp_path
):
    promote(registry, variant(tmp_path / "b", "b"))
    watch.look()
    away = ModelRegistry(f"sqlite:///{tmp_path / 'gone' / 'mlflow.db'}", registry.name)
    lost = Source(away, source.alias, source.cache)
    ModelWatch(lost, server, loader, 60).look()
    assert metric("detector_worker_registry_up") == 0
    assert server.current.version == "b"
    restarted = first_model(lost, ONE_NETWORK, loader)
    restarted.pipeline.close()
    assert restarted.version == "b"


def test_a_first_start_takes_the_alias_at_once_and_falls_back_on_the_shipped_package(
    source, registry, loader, tmp_path
):
    promote(registry, broken_variant(tmp_path / "broken", "broken"))
    first = first_model(source, ONE_NETWORK, loader)
    first.pipeline.close()
    assert first.version == SHIPPED_VERSION
    promote(registry, variant(tmp_path / "b", "b"))
    second = first_model(source, ONE_NETWORK, loader)
    second.pipeline.close()
    assert second.version == "b"


def test_old_downloads_are_deleted(watch, server, source, registry, tmp_path):
    for age, name in ((7200, ".download-killed"), (0, ".download-under-way")):
        (source.cache / name).mkdir(parents=True)
        os.utime(source.cache / name, (time.time() - age,) * 2)
    for name in ("one", "two", "three", "four"):
        promote(registry, variant(tmp_path / name, name))
        watch.look()
    assert server.current.version == "four"
    kept = sorted(path.name for path in source.cache.iterdir() if path.is_dir())
    assert [name[:2] for name in kept] == [".d", "3-", "4-"]
    assert kept[0] == ".download-under-way"


def test_trunks_are_kept_as_long_as_a_package_that_needs_them(source, registry, tmp_path):
    """None of these can serve: that a package is remembered is all that pruning looks at."""
    trunks = source.cache / "trunks"
    for number, content in enumerate((b"one", b"two", b"two", b"three")):
        directory = of_members(tmp_path / str(number) / "package", str(number), content)
        fetched = source.fetch(registry.register(directory))
        for path in trunks.iterdir():
            os.utime(path, (time.time() - 7200,) * 2)
        os.utime(fetched, (number, number))
        source.remember(fetched)
        if number == 1:
            assert len(list(trunks.iterdir())) == 2
    kept = [path for path in source.cache.iterdir() if path.is_dir() and path != trunks]
    assert sorted(load_package(path).manifest.version for path in kept) == ["2", "3"]
    assert len(list(trunks.iterdir())) == 2


def test_a_promoted_package_that_lost_its_trunk_is_not_served(watch, server, registry, tmp_path):
    promote(registry, of_members(tmp_path / "members" / "package", "members"))
    for path in (tmp_path / "mlflow" / "artifacts").rglob("trunk/*"):
        path.unlink()
    watch.look()
    assert server.current.version == SHIPPED_VERSION
    assert metric("detector_worker_registry_up") == 0
