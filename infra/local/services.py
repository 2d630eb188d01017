"""The product's services as programs of the stack. The names are those of their log files."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.http_check import answers
from infra.local.program import SERVICE_PRIORITY, Program
from infra.local.service import Service
from shared.core.settings import REPOSITORY_ROOT


@dataclass(frozen=True)
class ServicePorts:
    """TCP ports; those for metrics answer only on 127.0.0.1."""

    gateway: int
    ui: int
    worker_metrics: int
    maintenance_metrics: int
    webhook_metrics: int
    ingest_metrics: int


@dataclass(frozen=True)
class ServiceEnvironment:
    """What the services are told.

    Attributes:
        servers: DETECTOR_* addresses and keys of the three servers.
        local_dir: the stack's directory.
        gateway_host: address that the gateway listens on.
        ports: see ServicePorts.
        api_key: for the user interface.
        webhook_secret_keys: for those that read or write webhooks' signing secrets.
    """

    servers: Mapping[str, str]
    local_dir: Path
    gateway_host: str
    ports: ServicePorts
    api_key: str
    webhook_secret_keys: str

    @property
    def gateway_url(self) -> str:
        """The gateway as clients on this machine reach it."""
        host = "127.0.0.1" if self.gateway_host in {"0.0.0.0", "::"} else self.gateway_host  # noqa: S104
        return f"http://{host}:{self.ports.gateway}"

    @property
    def ui_url(self) -> str:
        """The user interface."""
        return f"http://127.0.0.1:{self.ports.ui}"


def build_services(env: ServiceEnvironment) -> list[Service]:
    """Describe the services ; those that take requests stop first."""
    return [_maintenance(env), _worker(env), _webhooks(env), _ingest(env), _gateway(env), _ui(env)]


def _maintenance(env: ServiceEnvironment) -> Service:
    port = env.ports.maintenance_metrics
    return Service(
        Program(
            name="maintenance",
            command=[sys.executable, "-m", "services.maintenance"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY,
            environment={**_common(env), "DETECTOR_MAINTENANCE_METRICS_PORT": str(port)},
            stop_wait_s=15,
        ),
        answers(f"http://127.0.0.1:{port}/metrics"),
    )


def _worker(env: ServiceEnvironment) -> Service:
    port = env.ports.worker_metrics
    return Service(
        Program(
            name="worker",
            command=[sys.executable, "-m", "services.worker"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY,
            environment={**_common(env), "DETECTOR_WORKER_METRICS_PORT": str(port)},
            # Longer than its own limit for running chunks (DETECTOR_WORKER_SHUTDOWN_SECONDS).
            stop_wait_s=30,
        ),
        answers(f"http://127.0.0.1:{port}/metrics"),
    )


def _webhooks(env: ServiceEnvironment) -> Service:
    port = env.ports.webhook_metrics
    return Service(
        Program(
            name="webhooks",
            command=[sys.executable, "-m", "services.webhooks"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY,
            environment={
                **_common(env),
                "DETECTOR_WEBHOOK_SECRET_KEYS": env.webhook_secret_keys,
                "DETECTOR_WEBHOOK_METRICS_PORT": str(port),
            },
            # Longer than one attempt may take (DETECTOR_WEBHOOK_TIMEOUT_SECONDS).
            stop_wait_s=20,
        ),
        answers(f"http://127.0.0.1:{port}/metrics"),
    )


def _ingest(env: ServiceEnvironment) -> Service:
    port = env.ports.ingest_metrics
    return Service(
        Program(
            name="ingest",
            command=[sys.executable, "-m", "services.ingest"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY,
            environment={**_common(env), "DETECTOR_INGEST_METRICS_PORT": str(port)},
            stop_wait_s=20,
        ),
        answers(f"http://127.0.0.1:{port}/metrics"),
    )


def _gateway(env: ServiceEnvironment) -> Service:
    return Service(
        Program(
            name="gateway",
            command=[sys.executable, "-m", "services.gateway"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY + 1,
            environment={
                **_common(env),
                "DETECTOR_GATEWAY_HOST": env.gateway_host,
                "DETECTOR_GATEWAY_PORT": str(env.ports.gateway),
                "DETECTOR_WEBHOOK_SECRET_KEYS": env.webhook_secret_keys,
                # Here, not in /tmp: a killed gateway leaves it behind.
                "DETECTOR_GATEWAY_METRICS_DIR": str(env.local_dir / "gateway-metrics"),
            },
            stop_wait_s=15,
        ),
        answers(f"{env.gateway_url}/health/ready"),
    )


def _ui(env: ServiceEnvironment) -> Service:
    options = {
        "server.port": env.ports.ui,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    return Service(
        Program(
            name="ui",
            command=[
                sys.executable,
                "-m",
                "streamlit",
                "run",
                str(REPOSITORY_ROOT / "services" / "ui" / "app.py"),
                *(part for key, value in options.items() for part in (f"--{key}", str(value))),
            ],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY + 1,
            # It speaks only to the gateway: no server's secret is given to it.
            environment={
                "DETECTOR_LOCAL_DIR": str(env.local_dir),
                "DETECTOR_URL": env.gateway_url,
                "DETECTOR_API_KEY": env.api_key,
            },
            stop_wait_s=5,
        ),
        answers(f"{env.ui_url}/_stcore/health"),
    )


def _common(env: ServiceEnvironment) -> dict[str, str]:
    # All other DETECTOR_* variables are inherited from the terminal.
    return {**env.servers, "DETECTOR_LOCAL_DIR": str(env.local_dir)}
