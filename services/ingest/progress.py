"""Keeps the counts of open catalogs fresh, and ends those of which nothing is open."""

import time
from uuid import UUID

from services.ingest.metrics import FINISHED, OPEN
from shared.core.logging import get_logger
from shared.db.catalogs import reading as catalog_reading
from shared.db.engine import SessionFactory

log = get_logger(__name__)

# A catalog is counted for at most this share of the time, however large it is.
_SHARE = 0.1


class Counter:
    """Counts each open catalog in its own transaction. Several processes may do so at once."""

    def __init__(self, sessions: SessionFactory, refresh_seconds: float) -> None:
        self._sessions = sessions
        self._refresh = refresh_seconds
        self._due: dict[UUID, float] = {}

    def count_due(self) -> int:
        """Count the catalogs that are due; returns how many became terminal."""
        with self._sessions() as session:
            open_catalogs = catalog_reading.read_catalogs(session)
        OPEN.set(len(open_catalogs))
        self._due = {catalog: self._due.get(catalog, 0.0) for catalog in open_catalogs}
        finished = 0
        for catalog_id, due in self._due.items():
            started = time.monotonic()
            if started < due:
                continue
            with self._sessions.begin() as session:
                ended = catalog_reading.refresh_counts(session, catalog_id)
            took = time.monotonic() - started
            self._due[catalog_id] = started + max(self._refresh, took / _SHARE)
            if ended:
                finished += 1
                FINISHED.inc()
                log.info("catalog.finished", catalog_id=str(catalog_id))
        return finished
