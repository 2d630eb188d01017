"""Takes due deliveries from PostgreSQL, which is the queue, and has threads attempt them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from services.webhooks import metrics
from services.webhooks.settings import DispatcherSettings
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.webhooks.deliveries import Claimed, claim, seconds_to_next

log = get_logger(__name__)

# After a database error; leases and rows stay as they are meanwhile.
_REST_SECONDS = 1.0


class Dispatcher:
    """Runs until `stop`. Several may run side by side, in as many processes as wanted."""

    def __init__(
        self,
        sessions: SessionFactory,
        settings: DispatcherSettings,
        attempt: Callable[[Claimed], None],
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._attempt = attempt
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._in_flight = 0

    def wake(self) -> None:
        """Say that something may be due; returns at once."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the attempts under way have ended."""
        self._stopping.set()
        self._woken.set()

    def run(self) -> None:
        """Claim and attempt until stopped."""
        with ThreadPoolExecutor(self._settings.webhook_threads, "attempt") as pool:
            while not self._stopping.is_set():
                # Cleared before looking: what becomes due afterwards wakes the wait below.
                self._woken.clear()
                try:
                    pause = self._round(pool)
                except Exception as error:  # noqa: BLE001  # it must outlive the database's absence
                    log.warning("dispatcher.failed", error=str(error))
                    pause = _REST_SECONDS
                if pause:
                    self._woken.wait(pause)

    def _round(self, pool: ThreadPoolExecutor) -> float:
        """Start what is due; returns the seconds to wait for more, 0 for none."""
        settings = self._settings
        with self._lock:
            free = settings.webhook_threads - self._in_flight
        if free <= 0:
            return settings.webhook_poll_seconds
        with self._sessions.begin() as session:
            # Asked for first: what becomes due between the two is claimed, or known to be near.
            next_due = seconds_to_next(session)
            found = claim(
                session, free, settings.webhook_endpoint_concurrency, settings.webhook_lease_seconds
            )
        for claimed in found:
            with self._lock:
                self._in_flight += 1
            metrics.IN_FLIGHT.inc()
            pool.submit(self._run_one, claimed)
        if found:
            return 0.0
        poll = settings.webhook_poll_seconds
        # A moment late rather than early: an early look finds nothing and comes back.
        return poll if next_due is None else min(poll, next_due + 0.005)

    def _run_one(self, claimed: Claimed) -> None:
        try:
            self._attempt(claimed)
        except Exception as error:  # noqa: BLE001  # its lease runs out, then it is due again
            log.warning("webhook.not_settled", delivery_id=str(claimed.id), error=str(error))
        finally:
            with self._lock:
                self._in_flight -= 1
            metrics.IN_FLIGHT.dec()
            self._woken.set()  # a thread is free, and so is a place of its endpoint
