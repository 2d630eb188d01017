"""Checks of the servers that the gateway depends on, bounded in time and in number."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from alembic.script import ScriptDirectory
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts.wire.jobs import HealthCheck
from shared.core.errors import StorageError
from shared.db.migrate import alembic_config
from shared.queue.broker import Broker
from shared.storage.port import ObjectStore

# Seconds an outcome is reused: the endpoint is open to everyone and must cost nothing.
_FRESH_SECONDS = 1.0
_FAILURES = (SQLAlchemyError, StorageError, redis.RedisError, OSError, RuntimeError)


@dataclass(slots=True)
class _Probe:
    """One check: at most one run at a time, each outcome reused while it is fresh."""

    check: Callable[[], None]
    timeout_seconds: float
    # One thread of its own: a server that hangs holds up no other check.
    slot: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(1))
    running: asyncio.Task[HealthCheck] | None = None
    finished_at: float = float("-inf")

    async def result(self) -> HealthCheck:
        """Return the outcome of the running, a recent or else a new check."""
        stale = time.monotonic() - self.finished_at > _FRESH_SECONDS
        if self.running is None or (self.running.done() and stale):
            self.running = asyncio.create_task(self._run())
        done, _ = await asyncio.wait([self.running], timeout=self.timeout_seconds)
        if not done:
            detail = f"no answer within {self.timeout_seconds:g} s"
            return HealthCheck(status="failed", detail=detail)
        return self.running.result()

    async def _run(self) -> HealthCheck:
        try:
            await to_thread.run_sync(self.check, limiter=self.slot)
        except _FAILURES as error:
            return HealthCheck(status="failed", detail=_first_line(error))
        finally:
            self.finished_at = time.monotonic()
        return HealthCheck(status="ok")


def _first_line(error: BaseException) -> str:
    # Driver messages go on with SQL and links; no address or secret is in the class name.
    return type(getattr(error, "orig", None) or error).__name__ + _reason(error)


def _reason(error: BaseException) -> str:
    return f": {error}" if isinstance(error, NotMigratedError) else ""


class NotMigratedError(RuntimeError):
    """The database's schema is older than the code."""


class HealthChecks:
    """The checks by name. `database` and `storage` decide on readiness; `broker` does not."""

    def __init__(
        self, engine: Engine, store: ObjectStore, broker: Broker, timeout_seconds: float
    ) -> None:
        url = engine.url.render_as_string(hide_password=False)
        scripts = ScriptDirectory.from_config(alembic_config(url))
        self._engine = engine
        self._head = scripts.get_current_head()
        self._older = {script.revision for script in scripts.walk_revisions()} - {self._head}
        self._probes = {
            "database": _Probe(self._check_database, timeout_seconds),
            "storage": _Probe(store.ensure_ready, timeout_seconds),
            "broker": _Probe(broker.ping, timeout_seconds),
        }

    async def results(self) -> dict[str, HealthCheck]:
        """Return every check's outcome; takes at most the time limit of one."""
        outcomes = await asyncio.gather(*(probe.result() for probe in self._probes.values()))
        return dict(zip(self._probes, outcomes, strict=True))

    async def close(self) -> None:
        """Let go of checks that still run."""
        for probe in self._probes.values():
            if probe.running is not None:
                probe.running.cancel()

    def _check_database(self) -> None:
        with self._engine.connect() as connection:
            found = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
            current = (
                connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
                if found
                else None
            )
        # A revision unknown here is a newer one: a rolling deploy migrates first.
        if current is None or current in self._older:
            raise NotMigratedError(
                f"schema is at {current}, the code needs {self._head}: run `detector db upgrade`"
            )
