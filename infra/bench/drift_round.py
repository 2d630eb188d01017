"""One round of the drift service in a process of its own, with what it cost."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from services.drift.run.rounds import Rounds
from services.drift.settings import DriftSettings
from shared.core.logging import configure_logging
from shared.db.engine import make_engine, make_session_factory


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one round: windows checked, seconds, those of them in SQL, largest resident memory."""

    windows: int
    seconds: float
    sql_seconds: float
    peak_mib: float


def run_round(settings: DriftSettings) -> Cost:
    """Run one round as the service does, in a fresh process, and return its cost."""
    # Not forked: a child would begin with this process's memory.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_round, settings).result()


def _round(settings: DriftSettings) -> Cost:
    configure_logging("drift", "warning", "console")
    engine = make_engine(settings.database_url.get_secret_value(), 2, "detector-drift")
    # The first connection and the first look at the catalog are not a round's.
    Rounds(make_session_factory(engine), settings.model_copy(update=_NOTHING_DUE)).run()
    rounds = Rounds(make_session_factory(engine), settings)
    with _sql_seconds(engine) as spent:
        started = time.perf_counter()
        windows = rounds.run()
        seconds = time.perf_counter() - started
    engine.dispose()
    return Cost(windows, seconds, sum(spent), _peak_mib())


_NOTHING_DUE: dict[str, Any] = {"drift_settle_seconds": 1e9}


@contextmanager
def _sql_seconds(engine: Engine) -> Iterator[list[float]]:
    """Collect how long each statement took until its rows were here."""
    spent: list[float] = []

    def begin(connection: Any, *_: object) -> None:
        connection.info["began"] = time.perf_counter()

    def end(connection: Any, *_: object) -> None:
        spent.append(time.perf_counter() - connection.info["began"])

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)
    yield spent


def _peak_mib() -> float:
    """Return this process's own largest resident memory; getrusage's holds the parent's too."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError("this system does not tell of a process's largest memory")
