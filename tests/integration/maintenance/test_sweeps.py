"""The sweeps over real servers, called as the schedule calls them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from services.maintenance.settings import MaintenanceSettings
from services.maintenance.sweeps import Sweeps
from services.maintenance.tasks import schedule
from shared.contracts.tasks import CHECK_INVARIANTS
from shared.core.ids import new_id
from shared.db.engine import SessionFactory
from shared.db.queue import idempotency
from shared.db.tenants import keys
from shared.queue.app import make_celery
from shared.queue.broker import Broker
from tests.support.servers import Servers


@pytest.fixture
def sweeps(servers: Servers, sessions: SessionFactory) -> Iterator[Sweeps]:
    settings = MaintenanceSettings(**servers.settings().model_dump())
    celery, broker = make_celery(servers.redis_url), Broker(servers.redis_url)
    yield Sweeps(settings, sessions, celery, broker)
    broker.close()
    celery.close()


def claim(sessions: SessionFactory, *names: str) -> None:
    with sessions.begin() as session:
        tenant = keys.get_or_create_tenant(session, "acme")
        for name in names:
            request = idempotency.KeptRequest(b"hash", "job", new_id())
            assert idempotency.claim(session, tenant, name, request) is None


def kept(sessions: SessionFactory) -> list[str]:
    with sessions() as session:
        return list(session.execute(text("SELECT key FROM idempotency_keys")).scalars())


def test_keys_older_than_a_day_go_with_the_next_check_and_younger_ones_stay(sweeps, sessions):
    claim(sessions, "yesterday 1", "yesterday 2")
    with sessions.begin() as session:
        session.execute(
            text("UPDATE idempotency_keys SET created_at = now() - make_interval(hours => :h)"),
            {"h": idempotency.KEPT_HOURS + 1},
        )
    claim(sessions, "today")
    assert set(sweeps.check().values()) == {0}
    assert kept(sessions) == ["today"]
    sweeps.check()
    assert kept(sessions) == ["today"]


def test_the_check_is_on_the_schedule(sweeps):
    entry = schedule(sweeps.settings)[CHECK_INVARIANTS]
    assert entry["schedule"] == sweeps.settings.maintenance_check_seconds > 0
