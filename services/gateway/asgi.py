"""What uvicorn runs in each worker process."""

import multiprocessing
import os
import signal
import threading

from fastapi import FastAPI

from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.core.logging import configure_logging
from shared.core.settings import load_settings


def application() -> FastAPI:
    """Return the app that the environment describes, with logging configured."""
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", settings.log_level, settings.log_format)
    _end_with_parent()
    return create_app(settings)


def _end_with_parent() -> None:
    """End this worker when uvicorn's parent process is killed: it would keep the port."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
