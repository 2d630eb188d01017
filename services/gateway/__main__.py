"""`python -m services.gateway`: uvicorn with as many processes as the settings say."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import uvicorn

from services.gateway.http.protocol import GuardedHttpProtocol
from services.gateway.settings import GatewaySettings
from shared.core.logging import configure_logging
from shared.core.settings import load_settings

# Seconds after which a silent worker process is replaced; generous, for busy small machines.
_WORKER_SILENCE_SECONDS = 30


def main() -> None:
    """Run until SIGTERM or SIGINT; running requests get time to finish."""
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", settings.log_level, settings.log_format)
    directory = _metrics_directory(settings.gateway_metrics_dir)
    # After an orderly end uvicorn raises the signal again: turn that into a plain exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Read by prometheus_client on import, which happens in the workers' application factory.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    try:
        uvicorn.run(
            "services.gateway.asgi:application",
            factory=True,
            host=settings.gateway_host,
            port=settings.gateway_port,
            workers=settings.gateway_workers,
            http=GuardedHttpProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=settings.gateway_keep_alive_seconds,
            timeout_graceful_shutdown=settings.gateway_shutdown_seconds,
            timeout_worker_healthcheck=_WORKER_SILENCE_SECONDS,
        )
    finally:
        if settings.gateway_metrics_dir is None:
            shutil.rmtree(directory, ignore_errors=True)


def _metrics_directory(configured: Path | None) -> Path:
    """Return an empty directory: counters of an earlier run would be added to this one's."""
    if configured is None:
        return Path(tempfile.mkdtemp(prefix="detector-gateway-metrics-"))
    configured.mkdir(parents=True, exist_ok=True)
    for stale in configured.glob("*.db"):
        stale.unlink()
    return configured


if __name__ == "__main__":
    main()
