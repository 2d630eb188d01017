"""The configuration for a Prometheus beside the embedded stack."""

import subprocess
from pathlib import Path

import yaml

from infra.local.directory.layout import Layout
from infra.local.prometheus import render, store, targets
from infra.local.services import ServiceEnvironment, ServicePorts, build_services
from tests.support.prometheus import PROMETHEUS, tool


def environment(directory: Path, host: str = "127.0.0.1") -> ServiceEnvironment:
    names = ServicePorts.__dataclass_fields__
    ports = ServicePorts(**{name: 12_000 + number for number, name in enumerate(names)})
    given = {"servers": {}, "local_dir": directory, "gateway_host": host, "ports": ports}
    others = ServiceEnvironment.__dataclass_fields__.keys() - given
    return ServiceEnvironment(**given, **dict.fromkeys(others, "secret"))


def test_it_is_the_shipped_configuration_with_the_ports_of_the_stack(tmp_path):
    shipped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    env = environment(tmp_path)
    made = yaml.safe_load(render(targets(env)))
    assert made["global"] == shipped["global"]
    jobs = {job["job_name"]: job["static_configs"] for job in made["scrape_configs"]}
    assert list(jobs) == [job["job_name"] for job in shipped["scrape_configs"]]
    assert jobs["worker"] == [{"targets": [f"127.0.0.1:{env.ports.worker_metrics}"]}]
    assert jobs["gateway"] == [{"targets": [f"127.0.0.1:{env.ports.gateway}"]}]


def test_every_service_of_the_stack_is_scraped_but_the_web_page(tmp_path):
    env = environment(tmp_path)
    services = {service.program.name for service in build_services(env)}
    assert set(targets(env)) - {"prometheus"} == services - {"ui"}


def test_a_gateway_for_everybody_is_scraped_on_loopback(tmp_path):
    assert targets(environment(tmp_path, "0.0.0.0"))["gateway"].startswith("127.0.0.1:")


def test_promtool_accepts_the_file_and_finds_the_rules(tmp_path):
    layout = Layout(tmp_path)
    store(layout, environment(tmp_path))
    done = subprocess.run(
        [tool("promtool"), "check", "config", str(layout.prometheus)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count = len(list((PROMETHEUS / "rules").glob("*.yml")))
    assert f"{count} rule files found" in done.stdout
