"""Entry point of the worker: `python -m services.worker`."""

import os
import sys

from prometheus_client import start_http_server

from services.worker.engines.port import NoEngineError
from services.worker.settings import WorkerSettings
from services.worker.wiring import build_worker
from shared.contracts.tasks import QUEUE_INFERENCE
from shared.core.logging import configure_logging, get_logger
from shared.core.settings import load_settings
from shared.ml.errors import PackageError
from shared.queue.consume import consume

log = get_logger("services.worker")


def main() -> int:
    """Load the model, then consume chunks until SIGTERM or SIGINT."""
    settings = load_settings(WorkerSettings)
    configure_logging("worker", settings.log_level, settings.log_format)
    try:
        worker = build_worker(settings)
    except (PackageError, NoEngineError) as error:
        log.error("worker.cannot_start", error=str(error))  # noqa: TRY400  # the message says it all
        return 1
    server, _thread = start_http_server(settings.worker_metrics_port, settings.worker_metrics_host)
    log.info(
        "worker.ready",
        model_version=worker.server.current.version,
        engine=worker.server.current.engine.name,
        batch_size=worker.server.current.engine.batch_size,
        model_alias=settings.worker_model_alias or None,
        metrics_port=server.server_port,
        pid=os.getpid(),
    )
    worker.bulk.start()
    consume(
        worker.celery, QUEUE_INFERENCE, settings.log_level, "threads", settings.worker_concurrency
    )
    worker.close()
    log.info("worker.stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
