"""The whole system as processes: gateway, workers and maintenance over one test's servers."""

from collections.abc import Mapping
from pathlib import Path

from shared.db.tenants.bootstrap import ensure_local_key
from tests.support.api import Api
from tests.support.processes import ServiceProcess, answers, free_port, wait_until
from tests.support.servers import Servers

# Short leases and sweeps, so that a rescue takes seconds.
FAST = {
    "DETECTOR_WORKER_LEASE_SECONDS": "3",
    "DETECTOR_MAINTENANCE_RESCUE_SECONDS": "1",
    "DETECTOR_MAINTENANCE_SWEEP_SECONDS": "0.5",
    "DETECTOR_MAINTENANCE_LOST_AFTER_SECONDS": "3",
    "DETECTOR_WORKER_METRICS_PORT": "0",
    "DETECTOR_MAINTENANCE_METRICS_PORT": "0",
    "DETECTOR_INGEST_METRICS_PORT": "0",
    "DETECTOR_DRIFT_METRICS_PORT": "0",
    "DETECTOR_WEBHOOK_METRICS_PORT": "0",
    "DETECTOR_WORKER_INFERENCE_THREADS": "1",
    "DETECTOR_LOG_LEVEL": "info",
}


class System:
    """Starts services on demand; `close` ends them all."""

    def __init__(self, servers: Servers, directory: Path, extra: Mapping[str, str] = {}) -> None:
        self.servers = servers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ensure_local_key(servers.database_url)
        self.api = Api(self.url, self.key)
        self._directory = directory
        self._environment = {
            **servers.environment(),
            **FAST,
            "DETECTOR_GATEWAY_PORT": str(self.port),
            "DETECTOR_GATEWAY_METRICS_DIR": str(directory / "gateway-metrics"),
            **extra,
        }
        self.services: list[ServiceProcess] = []

    def gateway(self, wait: bool = True) -> ServiceProcess:
        """Start the gateway and wait until it is ready."""
        process = self._start("services.gateway", {})
        if wait:
            wait_until(
                lambda: answers(f"{self.url}/health/ready") or not process.is_running(),
                90,
                f"the gateway is ready:\n{process.output()[-2000:]}",
            )
            assert process.is_running(), process.output()[-3000:]
        return process

    def worker(self, wait: bool = True, **extra: str) -> ServiceProcess:
        """Start one more worker."""
        process = self._start("services.worker", extra)
        if wait:
            process.wait_for_line("worker.ready")
        return process

    def maintenance(self) -> ServiceProcess:
        """Start the maintenance service."""
        process = self._start("services.maintenance", {})
        process.wait_for_line("maintenance.ready")
        return process

    def webhooks(self, **extra: str) -> ServiceProcess:
        """Start one more webhooks service."""
        process = self._start("services.webhooks", extra)
        process.wait_for_line("webhooks.ready")
        return process

    def ingest(self, **extra: str) -> ServiceProcess:
        """Start one more ingest service."""
        process = self._start("services.ingest", extra)
        process.wait_for_line("ingest.ready")
        return process

    def drift(self, **extra: str) -> ServiceProcess:
        """Start one more drift service."""
        process = self._start("services.drift", extra)
        process.wait_for_line("drift.ready")
        return process

    def close(self) -> None:
        """End every service, the last started first."""
        for service in reversed(self.services):
            if service.is_running():
                service.kill()
        self.api.close()

    def _start(self, module: str, extra: Mapping[str, str]) -> ServiceProcess:
        log = self._directory / f"{module}.{len(self.services)}.log"
        process = ServiceProcess(module, {**self._environment, **extra}, log)
        self.services.append(process)
        process.start()
        return process
