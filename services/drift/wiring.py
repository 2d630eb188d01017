"""The object graph of the drift service: one thread of rounds, started and stopped per process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from services.drift import metrics
from services.drift.run.leadership import Leadership
from services.drift.run.publish import publish
from services.drift.run.rounds import Rounds
from services.drift.settings import DriftSettings
from shared.core.logging import get_logger
from shared.db.engine import make_engine, make_session_factory

log = get_logger(__name__)

_TIDY_SECONDS = 3600.0


class Loop:
    """Rounds on a timer, while this process leads."""

    def __init__(self, rounds: Rounds, leadership: Leadership) -> None:
        self._rounds = rounds
        self._leadership = leadership
        self._tidied = float("-inf")
        self._led = False

    def run(self) -> None:
        """Go round until stopped. A database that is away is waited for."""
        while not self._rounds.stopping.is_set():
            try:
                self.round()
            except SQLAlchemyError as error:
                self._led = False
                metrics.LEADER.set(0)
                metrics.FAILURES.inc()
                log.warning("drift.round_failed", error=str(error))
            except Exception:
                # Whatever it is, the next round may find it gone; the failures' alert tells of it.
                metrics.FAILURES.inc()
                log.exception("drift.round_failed")
            self._rounds.stopping.wait(self._rounds.settings.drift_poll_seconds)

    def round(self) -> None:
        """Do one round if this process leads."""
        leads = self._leadership.held()
        metrics.LEADER.set(leads)
        if leads and not self._led:
            log.info("drift.leading")
        self._led = leads
        if not leads:
            return
        self._rounds.run()
        with self._rounds.sessions() as session:
            publish(session, self._rounds.settings)
        if time.monotonic() - self._tidied >= _TIDY_SECONDS:
            self._rounds.tidy()
            self._tidied = time.monotonic()
        metrics.LAST_SUCCESS.set_to_current_time()


@contextmanager
def running(settings: DriftSettings) -> Iterator[None]:
    """Check windows until the block ends; the check under way is finished first."""
    database_url = settings.database_url.get_secret_value()
    engine = make_engine(database_url, 2, "detector-drift")
    rounds = Rounds(make_session_factory(engine), settings)
    with Leadership(engine) as leadership:
        thread = threading.Thread(target=Loop(rounds, leadership).run, name="rounds")
        thread.start()
        try:
            yield
        finally:
            rounds.stopping.set()
            thread.join()
    engine.dispose()
