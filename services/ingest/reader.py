"""The use case: take a catalog, read its pages, keep room for everybody else."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from services.ingest.metrics import FAULTS, PAGE_SECONDS, ROWS, WAITING
from services.ingest.photos import PhotoLimits, PhotoLoader
from services.ingest.settings import IngestSettings
from services.ingest.sources.open_source import Opener
from services.ingest.sources.rows import SourceProblem, SourceRow
from shared.contracts.catalogs import CatalogErrorCode
from shared.core.errors import StorageError
from shared.core.logging import get_logger
from shared.db.catalogs import reading as catalog_reading
from shared.db.catalogs.reading import CatalogLost, ReadPage, ReadRow
from shared.db.engine import SessionFactory
from shared.db.models import Catalog
from shared.queue.relay import OutboxRelay
from shared.storage.port import ObjectStore

log = get_logger(__name__)

# Seconds between two looks for room, and after a fault before the next turn.
_ROOM_SECONDS = 0.2
_FAULT_SECONDS = 5.0
# Readers that one place of a catalog may end before it is tried no more.
MAX_CRASHES = 3


class Stopped(Exception):
    """The process is told to end."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """One catalog in this reader's hands."""

    catalog: Catalog
    lease_id: UUID
    loader: PhotoLoader
    # time.monotonic() at which another catalog should have its turn.
    ends_at: float

    @property
    def id(self) -> UUID:
        return self.catalog.id


class CatalogReader:
    """Reads one catalog at a time. Several may run, in one process or in many."""

    def __init__(
        self,
        settings: IngestSettings,
        sessions: SessionFactory,
        store: ObjectStore,
        opener: Opener,
        relay: OutboxRelay,
        stopping: Event,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._store = store
        self._opener = opener
        self._relay = relay
        self._stopping = stopping
        self._fetchers = ThreadPoolExecutor(
            settings.ingest_fetch_threads, thread_name_prefix="fetch"
        )

    def close(self) -> None:
        """End the threads; photos under way are abandoned, their rows are read again."""
        self._fetchers.shutdown(wait=False, cancel_futures=True)

    def take_turn(self) -> bool:
        """Read the catalog whose turn it is for a while; False when none waits.

        A fault of a server ends the turn: the catalog goes on where it was, a little later.
        """
        with self._sessions.begin() as session:
            claimed = catalog_reading.claim(session, self._settings.ingest_lease_seconds)
        if claimed is None:
            return False
        catalog, lease_id = claimed
        limits = PhotoLimits(
            self._settings.ingest_max_image_bytes, self._settings.ingest_max_pixels
        )
        loader = PhotoLoader(self._store, catalog.tenant_id, limits)
        ends_at = time.monotonic() + self._settings.ingest_turn_seconds
        turn = _Turn(catalog, lease_id, loader, ends_at)
        log.info(
            "catalog.turn",
            catalog_id=str(catalog.id),
            rows_read=catalog.rows_read,
            crashes=catalog.crashes,
        )
        try:
            if catalog.crashes >= MAX_CRASHES:
                raise _exhausted(catalog)
            self._read(turn)
        except CatalogLost:
            log.info("catalog.lost", catalog_id=str(catalog.id))
        except SourceProblem as problem:
            self._fail(turn, problem)
        except Stopped:
            self._release(turn)
        except (StorageError, SQLAlchemyError) as error:
            FAULTS.labels(type(error).__name__).inc()
            log.warning("catalog.fault", catalog_id=str(catalog.id), error=str(error))
            self._release(turn)
            self._stopping.wait(_FAULT_SECONDS)
        return True

    def _read(self, turn: _Turn) -> None:
        rows = self._opener.open(turn.catalog).rows(turn.catalog.position)
        read = turn.catalog.rows_read
        while True:
            self._wait_for_room(turn)
            batch, problem = _take(rows, self._settings.ingest_page_rows)
            read += len(batch)
            if problem is None and not read:
                raise SourceProblem(CatalogErrorCode.EMPTY_CATALOG, "there is no row")
            is_last = problem is None and len(batch) < self._settings.ingest_page_rows
            page = self._page(turn, batch, is_last)
            if batch or is_last:
                self._write(turn, page)
            if problem is not None:
                raise problem
            if page.is_last:
                self._say_read(turn, read)
                return
            if read >= self._settings.ingest_max_rows:
                detail = f"more than {self._settings.ingest_max_rows} rows"
                raise SourceProblem(CatalogErrorCode.INVALID_MANIFEST, detail)
            if time.monotonic() > turn.ends_at:
                self._release(turn)
                return

    def _page(self, turn: _Turn, batch: Sequence[SourceRow], is_last: bool) -> ReadPage:
        """Fetch the photos of the rows, many at a time."""
        started = time.perf_counter()
        futures = [self._fetchers.submit(turn.loader.load, row) for row in batch]
        try:
            self._wait_for_photos(turn, futures)
            loaded = [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
        PAGE_SECONDS.labels("fetch").observe(time.perf_counter() - started)
        position = batch[-1].after if batch else turn.catalog.position
        return ReadPage(loaded, position, is_last)

    def _wait_for_photos(self, turn: _Turn, futures: Sequence[Future[ReadRow]]) -> None:
        pending = set(futures)
        renew_after = self._settings.ingest_lease_seconds / 3
        renewed = time.monotonic()
        while pending:
            _, pending = wait(pending, timeout=min(1.0, renew_after))
            if self._stopping.is_set():
                raise Stopped
            if pending and time.monotonic() - renewed > renew_after:
                self._renew(turn)
                renewed = time.monotonic()

    def _wait_for_room(self, turn: _Turn) -> None:
        """Return once few enough photos of catalogs wait; keeps the lease meanwhile."""
        limit = self._settings.ingest_max_open_images
        started = renewed = time.monotonic()
        self._renew(turn)
        while not self._stopping.is_set():
            with self._sessions() as session:
                if catalog_reading.open_images(session, limit) < limit:
                    WAITING.inc(time.monotonic() - started)
                    return
            if time.monotonic() - renewed > self._settings.ingest_lease_seconds / 3:
                self._renew(turn)
                renewed = time.monotonic()
            self._stopping.wait(_ROOM_SECONDS)
        raise Stopped

    def _write(self, turn: _Turn, page: ReadPage) -> None:
        started = time.perf_counter()
        with self._sessions.begin() as session:
            catalog_reading.write_page(session, turn.catalog, turn.lease_id, page)
        self._relay.poke()
        PAGE_SECONDS.labels("write").observe(time.perf_counter() - started)
        for row in page.rows:
            ROWS.labels(row.error_code or "photo").inc()

    def _renew(self, turn: _Turn) -> None:
        with self._sessions.begin() as session:
            seconds = self._settings.ingest_lease_seconds
            if not catalog_reading.renew(session, turn.id, turn.lease_id, seconds):
                raise CatalogLost(f"catalog {turn.id} is no longer ours")

    def _release(self, turn: _Turn) -> None:
        try:
            with self._sessions.begin() as session:
                catalog_reading.release(session, turn.id, turn.lease_id)
        except SQLAlchemyError as error:  # then the lease runs out by itself
            log.warning("catalog.release_failed", catalog_id=str(turn.id), error=str(error))

    def _fail(self, turn: _Turn, problem: SourceProblem) -> None:
        log.info(
            "catalog.refused",
            catalog_id=str(turn.id),
            code=problem.code.value,
            detail=problem.detail,
        )
        try:
            with self._sessions.begin() as session:
                catalog_reading.fail(session, turn.id, turn.lease_id, problem.code, problem.detail)
        except CatalogLost:
            log.info("catalog.lost", catalog_id=str(turn.id))
        except SQLAlchemyError as error:  # the next turn finds the same problem
            log.warning("catalog.fault", catalog_id=str(turn.id), error=str(error))

    def _say_read(self, turn: _Turn, rows: int) -> None:
        log.info(
            "catalog.read",
            catalog_id=str(turn.id),
            tenant_id=str(turn.catalog.tenant_id),
            request_id=turn.catalog.request_id,
            rows=rows,
        )


def _exhausted(catalog: Catalog) -> SourceProblem:
    detail = (
        f"reading on behind the first {catalog.rows_read} rows ended the reader"
        f" {catalog.crashes} times; split the file to find the row that does it"
    )
    return SourceProblem(CatalogErrorCode.ATTEMPTS_EXHAUSTED, detail)


def _take(rows: Iterator[SourceRow], count: int) -> tuple[list[SourceRow], SourceProblem | None]:
    """Return the next rows, and what ended them early: the rows before it are good."""
    batch: list[SourceRow] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == count:
                break
    except SourceProblem as problem:
        return batch, problem
    return batch, None
