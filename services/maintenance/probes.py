"""Asks the three servers again and again whether they answer, each from a thread of its own.

The sweeps cannot tell: they are started by messages of the broker, so they end with it.
"""

import threading
import time
from collections.abc import Callable, Mapping

from services.maintenance import metrics
from shared.core.logging import get_logger

log = get_logger(__name__)


class Probes:
    """Runs until `stop`. A server that hangs holds up no other one's probe, nor the metrics."""

    def __init__(self, checks: Mapping[str, Callable[[], object]], pause_seconds: float) -> None:
        """`checks` return when the server of that name answers and raise when it does not."""
        self._pause = pause_seconds
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=item, name=f"probe-{item[0]}", daemon=True)
            for item in checks.items()
        ]
        for name in checks:
            # So that one which has never answered has an age too.
            metrics.LAST_ANSWER.labels(name).set_to_current_time()

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more. A probe that hangs ends with the process."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(1.0)

    def _run(self, name: str, check: Callable[[], object]) -> None:
        answered = True
        while not self._stopping.is_set():
            started = time.perf_counter()
            try:
                check()
            except Exception as error:  # noqa: BLE001  # every client library has its own errors
                if answered:
                    log.warning("probe.failed", server=name, error=type(error).__name__)
                answered = False
            else:
                metrics.PROBE_SECONDS.labels(name).set(time.perf_counter() - started)
                metrics.LAST_ANSWER.labels(name).set_to_current_time()
                if not answered:
                    log.info("probe.answers_again", server=name)
                answered = True
            self._stopping.wait(self._pause)
