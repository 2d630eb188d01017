"""One running system for the tests that leave it running."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from infra.local.stack import Stack
from shared.db.engine import make_engine
from tests.support.servers import drop, provide
from tests.support.system import System


@pytest.fixture(scope="package")
def running_system(
    server_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    """Gateway, worker and maintenance, started once."""
    own = provide(server_stack)
    system = System(own, tmp_path_factory.mktemp("system"))
    try:
        system.gateway()
        system.worker()
        system.maintenance()
        yield system
    finally:
        system.close()
        drop(own)


@pytest.fixture(scope="module")
def stack(running_system: System) -> System:
    """The whole system, running, without photos (`.url`, `.key`, `.api`).

    A verdict of another module's tests would be repeated, and nothing inferred.
    """
    engine = make_engine(running_system.servers.database_url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM jobs"))
    engine.dispose()
    return running_system
