"""Entry point of the drift service: `python -m services.drift`."""

import os
import signal
import sys

from prometheus_client import start_http_server

from services.drift.settings import DriftSettings
from services.drift.wiring import running
from shared.core.logging import configure_logging, get_logger
from shared.core.settings import load_settings

log = get_logger("services.drift")

_STOP = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Check windows until SIGTERM or SIGINT; a check under way is finished first."""
    settings = load_settings(DriftSettings)
    # Blocked in every thread that is made from here on, and waited for below: a handler would run
    # in the midst of whatever lock the main thread holds.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    configure_logging("drift", settings.log_level, settings.log_format)
    with running(settings):
        server, _thread = start_http_server(
            settings.drift_metrics_port, settings.drift_metrics_host
        )
        log.info("drift.ready", metrics_port=server.server_port, pid=os.getpid())
        signal.sigwait(_STOP)
    log.info("drift.stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
