"""The object graph of the ingest service: started and stopped once per process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from sqlalchemy.exc import SQLAlchemyError

from services.ingest.progress import Counter
from services.ingest.reader import CatalogReader
from services.ingest.settings import IngestSettings
from services.ingest.sources.open_source import Opener
from shared.core.errors import DetectorError
from shared.core.logging import get_logger
from shared.db.engine import make_engine, make_session_factory
from shared.net import GuardedClient, GuardSettings
from shared.queue.app import make_celery
from shared.queue.relay import OutboxRelay
from shared.storage.files import S3Files
from shared.storage.s3 import S3ObjectStore

log = get_logger(__name__)

# Seconds between two looks for a catalog while there is none.
_IDLE_SECONDS = 1.0
_COUNT_SECONDS = 0.5


@contextmanager
def running(settings: IngestSettings) -> Iterator[None]:
    """Read catalogs until the block ends; the pages under way are finished first."""
    database = make_engine(
        settings.database_url.get_secret_value(), settings.database_pool_size, "ingest"
    )
    sessions = make_session_factory(database)
    celery = make_celery(settings.redis_url.get_secret_value(), "ingest")
    relay = OutboxRelay(sessions, celery)
    guard = GuardSettings(
        allowed_hosts=settings.allowed_photo_hosts(), max_redirects=settings.fetch_max_redirects
    )
    connections = settings.ingest_fetch_threads * settings.ingest_concurrency
    store = S3ObjectStore.from_settings(settings, connections)
    stopping = threading.Event()
    with GuardedClient(guard) as client, closing(celery):
        opener = _opener(settings, client, connections)
        readers = [
            CatalogReader(settings, sessions, store, opener, relay, stopping)
            for _ in range(settings.ingest_concurrency)
        ]
        counter = Counter(sessions, settings.ingest_refresh_seconds)
        relay.start()
        threads = [_loop(reader.take_turn, stopping, _IDLE_SECONDS, "reader") for reader in readers]
        threads.append(_loop(_never(counter.count_due), stopping, _COUNT_SECONDS, "counter"))
        try:
            yield
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
            for reader in readers:
                reader.close()
            relay.stop()
    database.dispose()


def _opener(settings: IngestSettings, client: GuardedClient, connections: int) -> Opener:
    imports = settings.ingest_import_bucket or None
    return Opener(
        settings,
        client,
        S3Files.from_settings(settings),
        S3Files.from_settings(settings, imports, connections),
    )


def _never(work: Callable[[], object]) -> Callable[[], bool]:
    """Return `work` as something after which there is a pause, whatever it did."""

    def run() -> bool:
        work()
        return False

    return run


def _loop(
    work: Callable[[], bool], stopping: threading.Event, pause: float, name: str
) -> threading.Thread:
    """Call `work` until told to stop, with a pause whenever it had nothing to do."""

    def run() -> None:
        while not stopping.is_set():
            busy = False
            try:
                busy = work()
            except (SQLAlchemyError, DetectorError) as error:
                log.warning("ingest.fault", where=name, error=str(error))
            except Exception:
                log.exception("ingest.error", where=name)
            if not busy:
                stopping.wait(pause)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    return thread
