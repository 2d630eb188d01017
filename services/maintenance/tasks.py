"""Celery tasks and the beat schedule: thin wrappers around the sweeps."""

from collections.abc import Callable
from typing import Any

from celery import Celery
from sqlalchemy.exc import SQLAlchemyError

from services.maintenance import metrics
from services.maintenance.business import BusinessCounts
from services.maintenance.settings import MaintenanceSettings
from services.maintenance.sweeps import Sweeps
from shared.contracts.tasks import CHECK_INVARIANTS, RESCUE_LEASES, SWEEP_OUTBOX
from shared.core.errors import QueueUnavailable
from shared.core.logging import get_logger

log = get_logger(__name__)

SWEEPS = ("outbox", "measure", "rescue", "check", "business")


def register(app: Celery, sweeps: Sweeps) -> None:
    """Add the maintenance tasks and their schedule to `app`."""
    business = BusinessCounts(sweeps.sessions)
    for sweep in SWEEPS:
        metrics.LAST_RUN.labels(sweep).set_to_current_time()
        metrics.SWEEP_FAILURES.labels(sweep)

    @app.task(name=SWEEP_OUTBOX)
    def sweep_outbox() -> None:
        _guarded("outbox", sweeps.sweep_outbox)
        _guarded("measure", sweeps.measure)

    @app.task(name=RESCUE_LEASES)
    def rescue_leases() -> None:
        _guarded("rescue", sweeps.rescue)

    @app.task(name=CHECK_INVARIANTS)
    def check_invariants() -> None:
        _guarded("check", sweeps.check)
        _guarded("business", business.count)

    app.conf.beat_schedule = schedule(sweeps.settings)


def schedule(settings: MaintenanceSettings) -> dict[str, dict[str, Any]]:
    """Return the beat schedule. A message not taken before the next is due expires."""
    every = {
        SWEEP_OUTBOX: settings.maintenance_sweep_seconds,
        RESCUE_LEASES: settings.maintenance_rescue_seconds,
        CHECK_INVARIANTS: settings.maintenance_check_seconds,
    }
    return {
        task: {"task": task, "schedule": seconds, "options": {"expires": max(seconds, 5.0)}}
        for task, seconds in every.items()
    }


def _guarded(sweep: str, run: Callable[[], object]) -> None:
    """Log a server that is away as one line; the next round tries again."""
    try:
        run()
    except (QueueUnavailable, SQLAlchemyError) as error:
        metrics.SWEEP_FAILURES.labels(sweep).inc()
        log.warning("sweep.failed", sweep=sweep, error=str(error))
    except Exception:
        metrics.SWEEP_FAILURES.labels(sweep).inc()
        raise
    else:
        metrics.LAST_RUN.labels(sweep).set_to_current_time()
