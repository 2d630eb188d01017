"""The object graph of the webhooks service: started and stopped once per process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.webhooks.attempt import Attempter
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.listener import DueListener
from services.webhooks.retention import Tidying
from services.webhooks.schedule import Schedule
from services.webhooks.settings import DispatcherSettings
from shared.db.engine import make_engine, make_session_factory
from shared.net import GuardedClient, GuardSettings


@contextmanager
def running(settings: DispatcherSettings) -> Iterator[None]:
    """Deliver until the block ends; then finish the attempts under way."""
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
        dispatching = threading.Thread(target=dispatcher.run, name="dispatcher")
        for part in (dispatching, listener, tidying):
            part.start()
        try:
            yield
        finally:
            dispatcher.stop()
            dispatching.join()
            listener.stop()
            tidying.stop()
    engine.dispose()
