"""Entry point of the webhooks service: `python -m services.webhooks`."""

import os
import signal
import sys

from prometheus_client import start_http_server

from services.webhooks.settings import DispatcherSettings
from services.webhooks.wiring import running
from shared.core.logging import configure_logging, get_logger
from shared.core.settings import load_settings

log = get_logger("services.webhooks")

_STOP = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Deliver until SIGTERM or SIGINT; attempts under way are finished first."""
    settings = load_settings(DispatcherSettings)
    # Blocked in every thread that is made from here on, and waited for below: a handler would run
    # in the midst of whatever lock the main thread holds.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    configure_logging("webhooks", settings.log_level, settings.log_format)
    with running(settings):
        server, _thread = start_http_server(
            settings.webhook_metrics_port, settings.webhook_metrics_host
        )
        log.info("webhooks.ready", metrics_port=server.server_port, pid=os.getpid())
        signal.sigwait(_STOP)
    log.info("webhooks.stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
