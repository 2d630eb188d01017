"""Fixtures over real servers: one set per session, a fresh part of it for each test."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine

from infra.local.stack import Stack
from shared.db.engine import SessionFactory, make_engine, make_session_factory
from shared.registry.registry import ModelRegistry
from tests.support import parallel
from tests.support.listeners import make_certificate
from tests.support.packages import ONE_NETWORK
from tests.support.registry import fresh_registry, make_template
from tests.support.servers import Servers, drop, prepare_template, provide
from tests.support.system import System


def pytest_configure() -> None:
    parallel.prepare()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    parallel.put_longest_first(items)


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let HTTP clients here trust one authority: all is plain HTTP, and reading 140 takes 40 ms."""
    pem, _ = make_certificate(tmp_path_factory.mktemp("authority"), "localhost")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(pem))
        yield


@pytest.fixture(scope="session")
def server_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Real PostgreSQL, Valkey and S3, started once."""
    with Stack(tmp_path_factory.mktemp("servers")) as stack:
        prepare_template(stack.urls)
        yield stack


@pytest.fixture
def servers(server_stack: Stack) -> Iterator[Servers]:
    """A migrated database, an empty Redis index and a bucket of this test alone."""
    own = provide(server_stack)
    yield own
    drop(own)


@pytest.fixture
def engine(servers: Servers) -> Iterator[Engine]:
    """An engine on the test's database."""
    engine = make_engine(servers.database_url, pool_size=4)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> SessionFactory:
    """Sessions on the test's database."""
    return make_session_factory(engine)


@pytest.fixture
def make_system(
    servers: Servers, tmp_path: Path
) -> Iterator[Callable[[Mapping[str, str]], System]]:
    """A function that makes a `System`; every service it started is ended with the test."""
    systems: list[System] = []

    def make(extra: Mapping[str, str] = {}) -> System:
        # These tests are of queues and faults: the small package starts in a quarter of the time.
        system = System(servers, tmp_path, {"DETECTOR_MODEL_DIR": str(ONE_NETWORK), **extra})
        systems.append(system)
        return system

    yield make
    for system in systems:
        system.close()


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with MLflow's tables."""
    return make_template(tmp_path_factory.mktemp("mlflow-template"))


@pytest.fixture
def registry(registry_template: Path, tmp_path: Path) -> ModelRegistry:
    """An empty model registry of this test alone."""
    return fresh_registry(registry_template, tmp_path / "mlflow")
