"""Keeps the leases of running chunks alive."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.jobs.leases import renew

log = get_logger(__name__)


class LeaseKeeper:
    """One thread that renews every lease of this process, each third of the lease's length.

    A process that dies or hangs stops renewing: its images pass to another after the lease.
    """

    def __init__(self, sessions: SessionFactory, lease_seconds: float) -> None:
        self._sessions = sessions
        self._seconds = lease_seconds
        self._held: dict[UUID, Sequence[UUID]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    @contextmanager
    def keep(self, lease_id: UUID, image_ids: Sequence[UUID]) -> Iterator[None]:
        """Renew the lease of `image_ids` while the block runs."""
        with self._lock:
            self._held[lease_id] = image_ids
        try:
            yield
        finally:
            with self._lock:
                del self._held[lease_id]

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds / 3):
            with self._lock:
                held = list(self._held.items())
            try:
                self._renew(held)
            except SQLAlchemyError as error:
                # The database is away: leases run out, and whoever is first takes the images.
                log.warning("lease.renewal_failed", leases=len(held), error=str(error))

    def _renew(self, held: list[tuple[UUID, Sequence[UUID]]]) -> None:
        if not held:
            return
        with self._sessions.begin() as session:
            for lease_id, image_ids in held:
                renew(session, lease_id, image_ids, self._seconds)
