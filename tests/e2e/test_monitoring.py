"""The shipped Prometheus over the whole running system: panels have data, and faults alert."""

import io
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.grafana import alerting
from infra.grafana.__main__ import BOARDS
from infra.grafana.panels import render
from shared.core.settings import REPOSITORY_ROOT
from tests.support.photos import jpeg, samples, truncated_jpeg
from tests.support.processes import ServiceProcess, free_port, wait_until
from tests.support.prometheus import PrometheusServer, alerts, signals, tool
from tests.support.promql import selectors
from tests.support.receiver import Receiver
from tests.support.servers import drop, provide
from tests.support.system import System

pytestmark = pytest.mark.timeout(600)

SERVICES = ("gateway", "worker", "maintenance", "webhooks", "ingest", "drift")
# What Grafana puts in the place of its variables.
_VARIABLES = {"$__rate_interval": "1m", "$__range": "15m", "$version": ".*", "$tenant": ".*"}
_VARIABLES["$model_version"] = ".*"
# Prometheus makes these itself: the second while an alert is pending or firing.
_BUILT_IN = {"up", "ALERTS"}


class DriftExporter:
    """See tests.support.drift_exporter."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.drift_exporter", str(self.port)],
            cwd=REPOSITORY_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "exporter.ready"

    def inject(self, scope: str, severity: int) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        print("severity", scope, severity, file=self._process.stdin, flush=True)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@dataclass
class Monitored:
    """The system under a Prometheus."""

    system: System
    drift: DriftExporter
    worker: ServiceProcess
    receiver: Receiver
    prometheus: PrometheusServer
    rounds: int = 0

    def use(self) -> None:
        """Do a bit of everything that the metrics count."""
        self.rounds += 1
        seed = 100 * self.rounds
        api, client = self.system.api, self.system.api.client
        photos = [*samples()[:3], *((f"{i}.jpg", jpeg(seed + i)) for i in range(4))]
        bad = [("cut.jpg", truncated_jpeg(seed)), ("no.txt", b"no photo at all")]
        url = f"http://{self.receiver.host}/hook"
        jobs = [api.submit(photos, {"webhook_url": url}), api.submit([photos[-1], bad[0]])]
        api.submit(bad)
        files = [("images", ("r.jpg", jpeg(seed + 20), "image/jpeg"))]
        for _ in range(2):
            headers = {"Idempotency-Key": f"round {self.rounds}"}
            jobs.append(client.post("/jobs", files=files, headers=headers))
        assert [job.status_code for job in jobs] == [202] * 4, [job.text for job in jobs]
        # Refused: loopback is no public address.
        client.post("/jobs", json={"images": [{"url": "http://127.0.0.1/a.jpg"}]})
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as content:
            for i in range(3):
                content.writestr(f"{i}.jpg", jpeg(seed + 30 + i))
        catalog = client.post("/catalogs", files={"file": ("photos.zip", archive.getvalue())})
        assert catalog.status_code == 202, catalog.text
        predicted = client.post("/predict", files={"file": ("p.jpg", jpeg(seed + 40))})
        assert predicted.status_code == 200, predicted.text
        done = [api.finished(job.json()["id"]) for job in jobs]
        image = done[0]["images"][0]
        other = "real" if image["verdict"]["label"] != "real" else "ai_generated"
        review = {"label": other, "reason": "bought and seen", "reviewer": "ann"}
        assert client.post(f"/images/{image['id']}/feedback", json=review).status_code == 201
        client.get(f"/images/{image['id']}/heatmap", params={"wait": 30})
        catalog_url = f"/catalogs/{catalog.json()['id']}"
        wait_until(
            lambda: client.get(catalog_url).json()["status"] == "succeeded", 60, "the catalog ends"
        )
        told = self.rounds
        wait_until(lambda: len(self.receiver.received) >= told, 60, "the webhook is delivered")


@pytest.fixture(scope="module")
def monitored(server_stack, tmp_path_factory) -> Iterator[Monitored]:
    tool("prometheus")
    directory = tmp_path_factory.mktemp("monitored")
    servers = provide(server_stack)
    ports = {name: free_port() for name in ("worker", "maintenance", "webhook", "ingest")}
    drift = DriftExporter()
    with Receiver() as receiver:
        system = System(
            servers,
            directory,
            {
                **{f"DETECTOR_{n.upper()}_METRICS_PORT": str(port) for n, port in ports.items()},
                "DETECTOR_WEBHOOK_ALLOWED_HOSTS": receiver.host,
                "DETECTOR_WEBHOOK_TIDY_SECONDS": "1",
                "DETECTOR_MAINTENANCE_CHECK_SECONDS": "1",
                "DETECTOR_MAINTENANCE_PROBE_SECONDS": "1",
            },
        )
        targets = {
            "gateway": [f"127.0.0.1:{system.port}"],
            "worker": [f"127.0.0.1:{ports['worker']}"],
            "maintenance": [f"127.0.0.1:{ports['maintenance']}"],
            "webhooks": [f"127.0.0.1:{ports['webhook']}"],
            "ingest": [f"127.0.0.1:{ports['ingest']}"],
            "drift": [f"127.0.0.1:{drift.port}"],
        }
        try:
            system.gateway()
            worker = system.worker()
            system.maintenance()
            system.webhooks()
            system.ingest()
            drift.start()
            (directory / "prometheus").mkdir()
            with PrometheusServer(directory / "prometheus", targets) as prometheus:
                yield Monitored(system, drift, worker, receiver, prometheus)
        finally:
            drift.kill()
            system.close()
            drop(servers)


@pytest.fixture(scope="module")
def used(monitored: Monitored) -> Monitored:
    """The same after a few jobs of every kind, twice: rates need two samples."""
    healthy = {job: ["up"] for job in (*SERVICES, "prometheus")}
    wait_until(lambda: monitored.prometheus.targets() == healthy, 60, "every target is scraped")
    monitored.use()
    time.sleep(3)  # three scrapes
    monitored.use()
    monitored.drift.inject("all", 0)
    return monitored


def expressions() -> dict[str, str]:
    """Return every PromQL expression that is shipped, by where it is."""
    found = {f"signal {name}": expr for name, expr in signals().items()}
    found |= {f"signal {name} as recorded": name for name in signals()}
    for board in BOARDS:
        for panel in render(board)["panels"]:
            for target in panel.get("targets", []):
                where = f"{board.title}: {panel['title']} {target['refId']}"
                found[where] = target["expr"]
    for group in alerting.render(alerting.read_groups())["groups"]:
        for rule in group["rules"]:
            found[f"Grafana {rule['title']}"] = rule["data"][0]["model"]["expr"]
    for variable, value in _VARIABLES.items():
        found = {where: expr.replace(variable, value) for where, expr in found.items()}
    return found


def test_nothing_fires_while_all_is_well(used):
    used.prometheus.query("up")
    time.sleep(3)  # three evaluations
    assert used.prometheus.firing() == {}
    assert used.prometheus.rules_health() == {}


def test_every_expression_of_rules_and_dashboards_has_data(used):
    wanted = expressions()
    assert len(wanted) > 150
    assert not [expr for expr in wanted.values() if "$" in expr]
    empty: dict[str, str] = {}

    def all_have_data() -> bool:
        empty.clear()
        for where, expr in wanted.items():
            numbers = [sample["value"][1] for sample in used.prometheus.query(expr)]
            if all(number == "NaN" for number in numbers):
                empty[where] = expr
        return not empty

    deadline = time.monotonic() + 60
    while not all_have_data() and time.monotonic() < deadline:
        time.sleep(1)
    assert empty == {}


def test_no_expression_names_a_metric_or_label_that_does_not_exist(used):
    existing = used.prometheus.metric_names() | _BUILT_IN
    missing = []
    labels: dict[str, set[str]] = {}
    for where, expr in (expressions() | {n: a["expr"] for n, a in alerts().items()}).items():
        for metric, wanted in selectors(expr).items():
            if metric not in existing:
                missing.append(f"{where}: {metric}")
            elif metric != "ALERTS":
                if metric not in labels:
                    labels[metric] = used.prometheus.label_names(metric)
                missing += [f"{where}: {metric}{{{one}}}" for one in wanted - labels[metric]]
    for board in BOARDS:
        for variable in board.variables:
            if variable.label not in used.prometheus.label_names(variable.metric):
                missing.append(f"{board.title}: ${variable.name}")
    assert missing == []


def test_the_documents_name_metrics_that_exist(used):
    existing = used.prometheus.metric_names()
    pages = [*(REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md")]
    pages.append(REPOSITORY_ROOT / "docs" / "monitoring.md")
    missing = {
        f"{page.name}: {name}"
        for page in pages
        for name in re.findall(r"\bdetector(?:_[a-z0-9_]+[a-z0-9]|:[a-z0-9_:]+)", page.read_text())
        if name not in existing and f"{name}_count" not in existing
    }
    assert missing == set()


def fires(monitored: Monitored, name: str) -> dict:
    """Wait until the alert fires; returns its first instance."""
    wait_until(lambda: name in monitored.prometheus.firing(), 60, f"{name} fires")
    return monitored.prometheus.firing()[name][0]


def ends(monitored: Monitored, *names: str) -> None:
    def quiet() -> bool:
        return not set(names) & set(monitored.prometheus.firing())

    wait_until(quiet, 60, f"{names} end")


def test_an_injected_drift_ends_in_a_firing_alert(used):
    used.drift.inject("all", 1)
    warning = fires(used, "DetectorDriftDetected")
    assert warning["labels"]["severity"] == "warning"
    assert warning["labels"]["scope"] == "all"
    page = REPOSITORY_ROOT / warning["annotations"]["runbook_url"]
    assert "## How to fix" in page.read_text()
    assert "DetectorDriftCritical" not in used.prometheus.firing()
    used.drift.inject("all", 2)
    critical = fires(used, "DetectorDriftCritical")
    assert critical["labels"]["severity"] == "critical"
    assert "have drifted far" in critical["annotations"]["summary"]
    used.drift.inject("all", 0)
    ends(used, "DetectorDriftDetected", "DetectorDriftCritical")


def test_a_killed_drift_service_is_missed_and_its_return_noticed(used):
    used.drift.kill()
    absent = fires(used, "DetectorDriftAbsent")
    assert absent["labels"]["job"] == "drift"
    fires(used, "DetectorTargetDown")
    used.drift.start()
    ends(used, "DetectorDriftAbsent", "DetectorTargetDown")


def test_killed_workers_are_missed_and_waiting_photos_are_noticed(used):
    used.worker.kill()
    assert fires(used, "DetectorNoWorkers")["labels"]["severity"] == "critical"
    used.worker.start()
    used.worker.wait_for_line("worker.ready", since=len(used.worker.output()) - 1)
    ends(used, "DetectorNoWorkers")
