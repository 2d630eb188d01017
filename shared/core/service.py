"""A process that works on threads of its own until it is told to stop."""

import os
import signal
from contextlib import AbstractContextManager

from prometheus_client import start_http_server

from shared.core.logging import configure_logging, get_logger
from shared.core.settings import BaseAppSettings

_STOP = {signal.SIGTERM, signal.SIGINT}


def run_service(
    name: str,
    settings: BaseAppSettings,
    running: AbstractContextManager[object],
    metrics_host: str,
    metrics_port: int,
) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code 0.

    `running` starts the service's threads when it is entered, and joins them when it is left.
    /metrics answers meanwhile on `metrics_port`; 0 takes a free one. Two lines are logged that
    others wait for: `NAME.ready` with the port and the process id, and `NAME.stopped`.
    """
    # Blocked in every thread that is made from here on, and waited for below: a handler would run
    # in the midst of whatever lock the main thread holds.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    configure_logging(name, settings.log_level, settings.log_format)
    log = get_logger(f"services.{name}")
    with running:
        server, _thread = start_http_server(metrics_port, metrics_host)
        ready = f"{name}.ready"
        log.info(ready, metrics_port=server.server_port, pid=os.getpid())
        signal.sigwait(_STOP)
    stopped = f"{name}.stopped"
    log.info(stopped)
    return 0
