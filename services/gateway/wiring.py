"""The gateway's object graph: opened and closed once per process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from sqlalchemy.orm import Session

from services.gateway.access.limits import TenantLimits
from services.gateway.http.health import HealthChecks
from services.gateway.settings import GatewaySettings
from services.gateway.waiting.listener import JobListener
from services.gateway.waiting.queue import QueueWatch
from services.gateway.webhook_tools import WebhookTools
from shared.core.errors import StorageError
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory, make_engine, make_session_factory
from shared.keys.evidence import EvidenceSigner
from shared.net import GuardedClient, GuardSettings
from shared.queue.app import make_celery
from shared.queue.broker import Broker
from shared.queue.relay import OutboxRelay
from shared.storage.files import S3Files
from shared.storage.port import ObjectStore
from shared.storage.s3 import S3ObjectStore

log = get_logger(__name__)

T = TypeVar("T")

# Seconds that start-up waits for the object store; it goes on without it.
_STORE_PATIENCE_SECONDS = 5.0
_STORE_RETRY_SECONDS = (0.5, 10.0)
# Seconds that shutdown waits for a message on its way: longer than a refused broker takes to fail.
_RELAY_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """What routes and use cases need. The client libraries block: use the two thread runners."""

    settings: GatewaySettings
    sessions: SessionFactory
    store: ObjectStore
    # Catalogs' manifests, in the same bucket.
    files: S3Files
    relay: OutboxRelay
    listener: JobListener
    health: HealthChecks
    fetcher: GuardedClient
    queue: QueueWatch
    limits: TenantLimits
    webhooks: WebhookTools
    # Of evidence bundles; None leaves them unsigned.
    signer: EvidenceSigner | None
    # As many threads as the pool lends connections, so that none waits for a connection.
    database_slots: CapacityLimiter
    # Apart from the former: a slow object store must not hold up reads of verdicts.
    store_slots: CapacityLimiter
    # Apart from both: how long other people's servers take is nobody's to decide here.
    fetch_slots: CapacityLimiter

    async def in_database(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction, committed before this returns."""

        def transaction() -> T:
            with self.sessions.begin() as session:
                return work(session)

        return await to_thread.run_sync(transaction, limiter=self.database_slots)

    async def in_store(self, work: Callable[[], T]) -> T:
        """Run `work`, which reads uploads or talks to the object store."""
        return await to_thread.run_sync(work, limiter=self.store_slots)

    async def in_fetch(self, work: Callable[[], T]) -> T:
        """Run `work`, which fetches from a server that a client named."""
        return await to_thread.run_sync(work, limiter=self.fetch_slots)


@asynccontextmanager
async def open_gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """Open everything and close it again. Servers that are away do not keep it from opening."""
    database_url = settings.database_url.get_secret_value()
    redis_url = settings.redis_url.get_secret_value()
    engine = make_engine(database_url, settings.database_pool_size, "detector-gateway")
    sessions = make_session_factory(engine)
    store = S3ObjectStore.from_settings(settings, settings.gateway_store_threads)
    celery = make_celery(redis_url)
    broker = Broker(redis_url, settings.gateway_health_seconds)
    relay = OutboxRelay(sessions, celery)
    listener = JobListener(database_url)
    fetcher = GuardedClient(
        GuardSettings(
            allowed_hosts=settings.allowed_photo_hosts(),
            max_redirects=settings.fetch_max_redirects,
        )
    )
    queue = QueueWatch(sessions)
    limits = TenantLimits(redis_url, settings.gateway_requests_per_minute)
    gateway = Gateway(
        settings=settings,
        sessions=sessions,
        store=store,
        files=S3Files.from_settings(settings),
        relay=relay,
        listener=listener,
        health=HealthChecks(engine, store, broker, settings.gateway_health_seconds),
        fetcher=fetcher,
        queue=queue,
        limits=limits,
        webhooks=WebhookTools.from_settings(settings),
        signer=settings.evidence_signer(),
        database_slots=CapacityLimiter(settings.database_pool_size),
        store_slots=CapacityLimiter(settings.gateway_store_threads),
        fetch_slots=CapacityLimiter(settings.gateway_fetch_threads),
    )
    relay.start()
    listening = asyncio.create_task(listener.run(), name="job-listener")
    preparing = asyncio.create_task(_prepare(store), name="store-preparation")
    await asyncio.wait([preparing], timeout=_STORE_PATIENCE_SECONDS)
    try:
        yield gateway
    finally:
        listener.close()
        await _cancel(listening, preparing)
        await to_thread.run_sync(relay.stop, _RELAY_PATIENCE_SECONDS)
        await gateway.health.close()
        await queue.close()
        await limits.close()
        fetcher.close()
        celery.close()
        broker.close()
        engine.dispose()


async def _prepare(store: ObjectStore) -> None:
    pause, longest = _STORE_RETRY_SECONDS
    while True:
        try:
            await to_thread.run_sync(store.ensure_ready)
        except StorageError as error:
            log.warning("storage.not_ready", error=str(error))
        else:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
