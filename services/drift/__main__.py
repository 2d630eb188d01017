"""Entry point of the drift service: `python -m services.drift`."""

import sys

from services.drift.settings import DriftSettings
from services.drift.wiring import running
from shared.core.service import run_service
from shared.core.settings import load_settings


def main() -> int:
    """Check windows until SIGTERM or SIGINT; a check under way is finished first."""
    settings = load_settings(DriftSettings)
    host, port = settings.drift_metrics_host, settings.drift_metrics_port
    return run_service("drift", settings, running(settings), host, port)


if __name__ == "__main__":
    sys.exit(main())
