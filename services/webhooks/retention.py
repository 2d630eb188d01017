"""A thread that deletes what is past its time and measures what waits."""

import threading

from services.webhooks import metrics
from services.webhooks.settings import DispatcherSettings
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.webhooks.deliveries import backlog, tidy

log = get_logger(__name__)


class Tidying:
    """Every process does it; the rows tell what is left to do."""

    def __init__(self, sessions: SessionFactory, settings: DispatcherSettings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidying", daemon=True)

    def start(self) -> None:
        """Start the thread; its first round is at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after its round."""
        self._stopping.set()
        self._thread.join(5)

    def round(self) -> int:
        """Measure, then delete; returns the number of events deleted."""
        with self._sessions() as session:
            waiting = backlog(session)
        metrics.DUE.set(waiting.due)
        metrics.SCHEDULED.set(waiting.scheduled)
        metrics.OLDEST_DUE.set(waiting.oldest_due_seconds)
        with self._sessions.begin() as session:
            purged = tidy(session, self._settings.webhook_retention_seconds)
        if purged:
            log.info("webhook.purged", events=purged)
        return purged

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.round()
            except Exception as error:  # noqa: BLE001  # the next round may find the database back
                log.warning("tidying.failed", error=str(error))
            self._stopping.wait(self._settings.webhook_tidy_seconds)
