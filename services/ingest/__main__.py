"""Entry point of the ingest service: `python -m services.ingest`."""

import contextlib
import os
import sys

from services.ingest.settings import IngestSettings
from services.ingest.wiring import running
from shared.core.service import run_service
from shared.core.settings import load_settings


def main() -> int:
    """Read catalogs until SIGTERM or SIGINT."""
    settings = load_settings(IngestSettings)
    with contextlib.suppress(OSError):
        os.nice(settings.ingest_niceness)
    host, port = settings.ingest_metrics_host, settings.ingest_metrics_port
    return run_service("ingest", settings, running(settings), host, port)


if __name__ == "__main__":
    sys.exit(main())
