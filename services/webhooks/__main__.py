"""Entry point of the webhooks service: `python -m services.webhooks`."""

import os
import signal
import sys
import threading

from prometheus_client import start_http_server

from services.webhooks.attempt import Attempter
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.listening import DueListener
from services.webhooks.schedule import Schedule
from services.webhooks.settings import DispatcherSettings
from services.webhooks.tidying import Tidying
from shared.core.logging import configure_logging, get_logger
from shared.core.settings import load_settings
from shared.db.engine import make_engine, make_session_factory
from shared.net import GuardedClient, GuardSettings

log = get_logger("services.webhooks")

_STOP = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Deliver until SIGTERM or SIGINT; attempts under way are finished first."""
    settings = load_settings(DispatcherSettings)
    # Blocked in every thread that is made from here on, and waited for below: a handler would run
    # in the midst of whatever lock the main thread holds.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    configure_logging("webhooks", settings.log_level, settings.log_format)
    database_url = settings.database_url.get_secret_value()
    engine = make_engine(database_url, settings.database_pool_size, "detector-webhooks")
    sessions = make_session_factory(engine)
    guard = GuardSettings(
        allowed_hosts=settings.allowed_receivers(),
        max_redirects=0,
        reply_bytes=settings.webhook_response_bytes,
        user_agent="ai-product-photo-detector-webhooks",
    )
    with GuardedClient(guard) as client:
        attempter = Attempter(
            sessions,
            client,
            settings.secret_box(),
            Schedule.from_settings(settings),
            settings.webhook_timeout_seconds,
            settings.webhook_response_bytes,
        )
        dispatcher = Dispatcher(sessions, settings, attempter.attempt)
        listener = DueListener(database_url, dispatcher.wake)
        tidying = Tidying(sessions, settings)
        server, _thread = start_http_server(
            settings.webhook_metrics_port, settings.webhook_metrics_host
        )
        running = threading.Thread(target=dispatcher.run, name="dispatcher")
        for part in (running, listener, tidying):
            part.start()
        log.info("webhooks.ready", metrics_port=server.server_port, pid=os.getpid())
        signal.sigwait(_STOP)
        dispatcher.stop()
        running.join()
        listener.stop()
        tidying.stop()
    engine.dispose()
    log.info("webhooks.stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
