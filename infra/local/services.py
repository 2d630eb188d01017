"""The product's services as programs of the stack. The names are those of their log files."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes.http_check import answers
from infra.local.processes.program import SERVICE_PRIORITY, Program
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
    drift_metrics: int


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
        evidence_keys: for the gateway, which signs evidence bundles.
    """

    servers: Mapping[str, str]
    local_dir: Path
    gateway_host: str
    ports: ServicePorts
    api_key: str
    webhook_secret_keys: str
    evidence_keys: str

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
    return [
        _maintenance(env),
        _worker(env),
        _webhooks(env),
        _ingest(env),
        _drift(env),
        _gateway(env),
        _ui(env),
    ]


def _maintenance(env: ServiceEnvironment) -> Service:
    return _background(env, "maintenance", env.ports.maintenance_metrics, stop_wait_s=15)


def _worker(env: ServiceEnvironment) -> Service:
    # Longer than its own limit for running chunks (DETECTOR_WORKER_SHUTDOWN_SECONDS).
    return _background(env, "worker", env.ports.worker_metrics, stop_wait_s=30)


def _webhooks(env: ServiceEnvironment) -> Service:
    return _background(
        env,
        "webhooks",
        env.ports.webhook_metrics,
        # Longer than one attempt may take (DETECTOR_WEBHOOK_TIMEOUT_SECONDS).
        stop_wait_s=20,
        prefix="DETECTOR_WEBHOOK",
        own={"DETECTOR_WEBHOOK_SECRET_KEYS": env.webhook_secret_keys},
    )


def _ingest(env: ServiceEnvironment) -> Service:
    return _background(env, "ingest", env.ports.ingest_metrics, stop_wait_s=20)


def _drift(env: ServiceEnvironment) -> Service:
    # A check under way is finished first; killed in it, the next start does it again.
    return _background(env, "drift", env.ports.drift_metrics, stop_wait_s=20)


def _background(
    env: ServiceEnvironment,
    name: str,
    metrics_port: int,
    *,
    stop_wait_s: int,
    prefix: str | None = None,
    own: Mapping[str, str] | None = None,
) -> Service:
    """Describe `services.<name>`, which takes no requests but for its metrics.

    `prefix` is that of its settings, DETECTOR_<NAME> by default; `own` is told to it alone.
    """
    port = str(metrics_port)
    variable = f"{prefix or f'DETECTOR_{name.upper()}'}_METRICS_PORT"
    return Service(
        Program(
            name=name,
            command=[sys.executable, "-m", f"services.{name}"],
            directory=REPOSITORY_ROOT,
            priority=SERVICE_PRIORITY,
            environment={**_common(env), **(own or {}), variable: port},
            stop_wait_s=stop_wait_s,
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
                "DETECTOR_GATEWAY_UI_URL": env.ui_url,
                "DETECTOR_WEBHOOK_SECRET_KEYS": env.webhook_secret_keys,
                "DETECTOR_GATEWAY_EVIDENCE_KEYS": env.evidence_keys,
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
