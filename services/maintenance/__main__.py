"""Entry point of the maintenance service: `python -m services.maintenance`."""

import sys
from typing import Any

from celery.beat import EmbeddedService
from prometheus_client import start_http_server
from sqlalchemy import Engine, text

from services.maintenance.probes import Probes
from services.maintenance.settings import MaintenanceSettings
from services.maintenance.sweeps import Sweeps
from services.maintenance.tasks import register
from shared.contracts.tasks import QUEUE_MAINTENANCE
from shared.core.logging import configure_logging, get_logger
from shared.core.settings import load_settings
from shared.db.engine import make_engine, make_session_factory
from shared.queue.app import make_celery
from shared.queue.broker import Broker
from shared.queue.consume import consume
from shared.storage.s3 import S3ObjectStore

log = get_logger("services.maintenance")


def main() -> int:
    """Run beat and its consumer in one process until SIGTERM or SIGINT."""
    settings = load_settings(MaintenanceSettings)
    configure_logging("maintenance", settings.log_level, settings.log_format)
    redis_url = settings.redis_url.get_secret_value()
    database = make_engine(settings.database_url.get_secret_value(), 2, "maintenance")
    celery = make_celery(redis_url, "maintenance")
    broker = Broker(redis_url)
    sweeps = Sweeps(settings, make_session_factory(database), celery, broker)
    register(celery, sweeps)
    probes = _probes(settings, database)
    probes.start()
    server, _thread = start_http_server(
        settings.maintenance_metrics_port, settings.maintenance_metrics_host
    )
    # A thread, not beat's own process: nothing is left over when this process is killed. The
    # schedule is intervals only, so it is kept in memory: no file that can be damaged.
    beat: Any = EmbeddedService(
        celery, max_interval=1, thread=True, scheduler_cls="celery.beat:Scheduler"
    )
    beat.start()
    log.info("maintenance.ready", metrics_port=server.server_port)
    consume(celery, QUEUE_MAINTENANCE, settings.log_level, "solo")
    beat.stop()
    probes.stop()
    broker.close()
    database.dispose()
    log.info("maintenance.stopped")
    return 0


def _probes(settings: MaintenanceSettings, database: Engine) -> Probes:
    def ask_database() -> None:
        with database.connect() as connection:
            connection.execute(text("SELECT 1"))

    store = S3ObjectStore.from_settings(settings, 1)
    # Its own client: the sweeps' may be in the midst of a call.
    broker = Broker(settings.redis_url.get_secret_value())
    return Probes(
        {"database": ask_database, "broker": broker.ping, "storage": store.ensure_ready},
        settings.maintenance_probe_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
