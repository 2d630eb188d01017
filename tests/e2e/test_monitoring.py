"""The shipped Prometheus over the whole running system: panels have data, and faults alert."""

import io
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.grafana import alerting
from infra.grafana.__main__ import BOARDS
from infra.grafana.panels import render
from shared.core.settings import REPOSITORY_ROOT
from shared.db.engine import make_engine, make_session_factory
from tests.support.drift_traffic import SETTINGS as DRIFT_SETTINGS
from tests.support.drift_traffic import RecentTraffic
from tests.support.packages import ONE_NETWORK
from tests.support.photos import jpeg, samples, truncated_jpeg
from tests.support.processes import ServiceProcess, answers, free_port, wait_until
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


@dataclass
class Monitored:
    """The system under a Prometheus."""

    system: System
    services: dict[str, ServiceProcess]
    traffic: RecentTraffic
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
    ports = {name: free_port() for name in ("worker", "maintenance", "webhook", "ingest", "drift")}
    engine = make_engine(servers.database_url, pool_size=2)
    with Receiver() as receiver:
        system = System(
            servers,
            directory,
            {
                **{f"DETECTOR_{n.upper()}_METRICS_PORT": str(port) for n, port in ports.items()},
                "DETECTOR_WEBHOOK_ALLOWED_HOSTS": receiver.host,
                # The model that the stored traffic is of, so that drift checks one version.
                "DETECTOR_MODEL_DIR": str(ONE_NETWORK),
                "DETECTOR_WEBHOOK_TIDY_SECONDS": "1",
                "DETECTOR_MAINTENANCE_CHECK_SECONDS": "1",
                "DETECTOR_MAINTENANCE_PROBE_SECONDS": "1",
                **DRIFT_SETTINGS,
            },
        )
        targets = {
            "gateway": [f"127.0.0.1:{system.port}"],
            "worker": [f"127.0.0.1:{ports['worker']}"],
            "maintenance": [f"127.0.0.1:{ports['maintenance']}"],
            "webhooks": [f"127.0.0.1:{ports['webhook']}"],
            "ingest": [f"127.0.0.1:{ports['ingest']}"],
            "drift": [f"127.0.0.1:{ports['drift']}"],
        }
        try:
            traffic = RecentTraffic(make_session_factory(engine))
            # All at once: most of a start is imports.
            started = {name: system._start(f"services.{name}", {}) for name in SERVICES}
            for name, process in started.items():
                if name != "gateway":
                    process.wait_for_line(f"{name}.ready", 180)
            wait_until(lambda: answers(f"{system.url}/health/ready"), 180, "the gateway is ready")
            (directory / "prometheus").mkdir()
            with PrometheusServer(directory / "prometheus", targets) as prometheus:
                yield Monitored(system, started, traffic, receiver, prometheus)
        finally:
            system.close()
            engine.dispose()
            drop(servers)


@pytest.fixture(scope="module")
def used(monitored: Monitored) -> Monitored:
    """The same after a few jobs of every kind, twice: rates need two samples."""
    healthy = {job: ["up"] for job in (*SERVICES, "prometheus")}
    wait_until(lambda: monitored.prometheus.targets() == healthy, 60, "every target is scraped")
    monitored.use()
    time.sleep(3)  # three scrapes
    monitored.use()
    drift = monitored.prometheus
    wait_until(lambda: drift.value("detector_drift_reference_photos > 0"), 120, "drift is checked")
    return monitored


def firing(monitored: Monitored, name: str) -> list[dict]:
    return monitored.prometheus.firing().get(name, [])


def fires(monitored: Monitored, name: str, seconds: float = 60) -> dict:
    """Wait until the alert fires; returns its first instance."""
    wait_until(lambda: firing(monitored, name), seconds, f"{name} fires")
    return firing(monitored, name)[0]


def ends(monitored: Monitored, *names: str) -> None:
    def quiet() -> bool:
        return not set(names) & set(monitored.prometheus.firing())

    wait_until(quiet, 60, f"{names} end")


@pytest.fixture(scope="module")
def drifted(used: Monitored) -> Monitored:
    """The same after a new generator made half of the traffic for some windows."""
    used.traffic.shift()
    fires(used, "DetectorDriftCritical", 120)
    return used


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
    time.sleep(3)  # three evaluations
    assert used.prometheus.firing() == {}
    assert used.prometheus.rules_health() == {}


def test_an_injected_drift_ends_in_a_firing_alert(drifted):
    critical = {
        alert["labels"]["scope"]: alert for alert in firing(drifted, "DetectorDriftCritical")
    }
    assert critical["all"]["labels"]["severity"] == "critical"
    assert "have drifted far" in critical["all"]["annotations"]["summary"]
    page = REPOSITORY_ROOT / critical["all"]["annotations"]["runbook_url"]
    assert "## How to fix" in page.read_text()
    assert {alert["labels"]["severity"] for alert in firing(drifted, "DetectorDriftDetected")} == {
        "warning"
    }
    named = drifted.prometheus.query("detector_drift_cause == 1")
    assert [sample["metric"]["cause"] for sample in named] == ["new_cluster"]


def test_every_expression_of_rules_and_dashboards_has_data(drifted):
    wanted = expressions()
    assert len(wanted) > 150
    assert not [expr for expr in wanted.values() if "$" in expr]
    empty: dict[str, str] = {}

    def all_have_data() -> bool:
        empty.clear()
        for where, expr in wanted.items():
            numbers = [sample["value"][1] for sample in drifted.prometheus.query(expr)]
            if all(number == "NaN" for number in numbers):
                empty[where] = expr
        return not empty

    deadline = time.monotonic() + 60
    while not all_have_data() and time.monotonic() < deadline:
        time.sleep(1)
    assert empty == {}


def test_no_expression_names_a_metric_or_label_that_does_not_exist(drifted):
    existing = drifted.prometheus.metric_names() | _BUILT_IN
    missing = []
    labels: dict[str, set[str]] = {}
    for where, expr in (expressions() | {n: a["expr"] for n, a in alerts().items()}).items():
        for metric, wanted in selectors(expr).items():
            if metric not in existing:
                missing.append(f"{where}: {metric}")
            elif metric != "ALERTS":
                if metric not in labels:
                    labels[metric] = drifted.prometheus.label_names(metric)
                missing += [f"{where}: {metric}{{{one}}}" for one in wanted - labels[metric]]
    for board in BOARDS:
        for variable in board.variables:
            if variable.label not in drifted.prometheus.label_names(variable.metric):
                missing.append(f"{board.title}: ${variable.name}")
    assert missing == []


def test_the_documents_name_metrics_that_exist(drifted):
    existing = drifted.prometheus.metric_names()
    pages = [*(REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md")]
    pages.append(REPOSITORY_ROOT / "docs" / "monitoring.md")
    missing = {
        f"{page.name}: {name}"
        for page in pages
        for name in re.findall(r"\bdetector(?:_[a-z0-9_]+[a-z0-9]|:[a-z0-9_:]+)", page.read_text())
        if name not in existing and f"{name}_count" not in existing
    }
    assert missing == set()


def test_a_killed_drift_service_is_missed_and_goes_on_as_it_was(drifted):
    drifted.services["drift"].kill()
    absent = fires(drifted, "DetectorDriftAbsent")
    assert absent["labels"]["job"] == "drift"
    fires(drifted, "DetectorTargetDown")
    drifted.services["drift"].start()
    ends(drifted, "DetectorDriftAbsent", "DetectorTargetDown")
    fires(drifted, "DetectorDriftCritical")


def test_killed_workers_are_missed(drifted):
    drifted.services["worker"].kill()
    assert fires(drifted, "DetectorNoWorkers")["labels"]["severity"] == "critical"
