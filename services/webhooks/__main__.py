"""Entry point of the webhooks service: `python -m services.webhooks`."""

import sys

from services.webhooks.settings import DispatcherSettings
from services.webhooks.wiring import running
from shared.core.service import run_service
from shared.core.settings import load_settings


def main() -> int:
    """Deliver until SIGTERM or SIGINT; attempts under way are finished first."""
    settings = load_settings(DispatcherSettings)
    host, port = settings.webhook_metrics_host, settings.webhook_metrics_port
    return run_service("webhooks", settings, running(settings), host, port)


if __name__ == "__main__":
    sys.exit(main())
