"""A tenant with webhook endpoints, a real receiver, and the service in this process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from services.webhooks.settings import DispatcherSettings
from services.webhooks.wiring import running
from shared.contracts.events import EventType
from shared.db.engine import SessionFactory
from shared.db.tenants.keys import get_or_create_tenant
from shared.db.webhooks.endpoints import create_endpoint
from shared.db.webhooks.events import emit
from shared.keys.signing_secrets import SecretBox, new_secret
from tests.support.processes import wait_until
from tests.support.receiver import Receiver
from tests.support.servers import WEBHOOK_KEY, Servers

# The schedule's 75 hours in 27 seconds; its first retry after half a millisecond.
FAST = {
    "webhook_clock_scale": 0.0001,
    "webhook_jitter": 0.0,
    "webhook_timeout_seconds": 10.0,
    "webhook_lease_seconds": 20.0,
    "webhook_poll_seconds": 60.0,  # so that only notifications and the schedule's times wake it
    "webhook_tidy_seconds": 60.0,
}


@dataclass
class Shop:
    """A tenant, its endpoints and their secrets."""

    sessions: SessionFactory
    tenant: UUID
    box: SecretBox = field(default_factory=lambda: SecretBox(WEBHOOK_KEY))
    secrets: dict[UUID, str] = field(default_factory=dict)

    def endpoint(self, url: str, events: tuple[str, ...] = ()) -> UUID:
        """Register `url`."""
        secret = new_secret()
        with self.sessions.begin() as session:
            made = create_endpoint(session, self.tenant, url, events, "", self.box.seal(secret))
        self.secrets[made.id] = secret
        return made.id

    def tell(self, count: int = 1, url: str | None = None) -> list[str]:
        """Emit events of their own transactions; returns their ids."""
        ids = []
        for number in range(count):
            with self.sessions.begin() as session:
                kind = EventType.VERDICT_CHANGED
                ids.append(str(emit(session, self.tenant, kind, {"number": number}, url)))
        return ids

    def rows(self, query: str) -> list[Any]:
        with self.sessions() as session:
            return list(session.execute(text(query)))

    def statuses(self) -> list[str]:
        """The deliveries' statuses, oldest first."""
        return [
            row.status
            for row in self.rows("SELECT status FROM webhook_deliveries ORDER BY created_at, id")
        ]

    def wait_for(self, *statuses: str, seconds: float = 30.0) -> None:
        """Wait until the deliveries have these statuses, in any order."""
        try:
            wait_until(lambda: sorted(self.statuses()) == sorted(statuses), seconds, "")
        except AssertionError:
            assert sorted(self.statuses()) == sorted(statuses)


@pytest.fixture
def shop(sessions: SessionFactory) -> Shop:
    with sessions.begin() as session:
        return Shop(sessions, get_or_create_tenant(session, "shop"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def dispatching(
    servers: Servers, receiver: Receiver
) -> Callable[..., AbstractContextManager[None]]:
    """A function that runs the service for a block, with settings of the test's own."""

    @contextmanager
    def run(**overrides: Any) -> Iterator[None]:
        values = {
            **servers.settings().model_dump(),
            "webhook_secret_keys": WEBHOOK_KEY,
            "webhook_allowed_hosts": receiver.host,
            **FAST,
            **overrides,
        }
        with running(DispatcherSettings(**values)):
            yield

    return run
