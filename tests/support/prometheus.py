"""A real Prometheus on loopback, and its `promtool`; where they are missing, tests skip."""

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from shared.core.settings import REPOSITORY_ROOT
from tests.support.processes import answers, free_port, wait_until

PROMETHEUS = REPOSITORY_ROOT / "infra" / "prometheus"


def tool(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; skips without it, fails where CI is set."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not installed (`apt-get install prometheus`)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def rule_groups() -> list[dict[str, Any]]:
    """Return every group of rules that is shipped."""
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    return [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    rules = [rule for group in rule_groups() for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def signals() -> dict[str, str]:
    """Return the expression of every recorded signal."""
    rules = [rule for group in rule_groups() for rule in group["rules"]]
    return {rule["record"]: rule["expr"] for rule in rules if "record" in rule}


class PrometheusServer:
    """The shipped configuration with other targets, scraped and evaluated every second.

    Alerts need to hold for `hold` (a Prometheus duration) only.
    """

    def __init__(self, directory: Path, targets: dict[str, list[str]], hold: str = "1s") -> None:
        """`targets` maps a job to its `host:port`s; jobs without an entry have none."""
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = directory / "prometheus.log"
        self._program = tool("prometheus")
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        own = {"prometheus": [self.url.removeprefix("http://")]}
        self._write(targets | own, hold)

    def _write(self, targets: dict[str, list[str]], hold: str) -> None:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
        config["global"]["evaluation_interval"] = "1s"
        for job in config["scrape_configs"]:
            job.pop("dns_sd_configs", None)
            job["static_configs"] = [{"targets": targets.get(job["job_name"], [])}]
        rules = self._directory / "rules"
        rules.mkdir()
        for file in (PROMETHEUS / "rules").glob("*.yml"):
            content = yaml.safe_load(file.read_text())
            for group in content["groups"]:
                for rule in group["rules"]:
                    if "alert" in rule:
                        rule["for"] = hold
            (rules / file.name).write_text(yaml.safe_dump(content))
        (self._directory / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        arguments = {
            "config.file": self._directory / "prometheus.yml",
            "storage.tsdb.path": self._directory / "data",
            "web.listen-address": self.url.removeprefix("http://"),
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [self._program, *(f"--{name}={value}" for name, value in arguments.items())],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, 60, "Prometheus is ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-3000:]
        return answers(f"{self.url}/-/ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query; fails the test when it is refused."""
        answer = self._get("query", query=expression)
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        result: list[dict[str, Any]] = data["result"]
        return result

    def value(self, expression: str) -> float | None:
        """Return the first sample's value, None when there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def metric_names(self) -> set[str]:
        """Return the name of everything it has ever stored."""
        return set(self._get("label/__name__/values")["data"])

    def label_names(self, metric: str) -> set[str]:
        """Return the labels that any series of `metric` has."""
        return set(self._get("labels", **{"match[]": metric})["data"])

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """Return the firing alerts by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self._get("alerts")["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def rules_health(self) -> dict[str, str]:
        """Return the error of every rule that could not be evaluated."""
        groups = self._get("rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")}

    def targets(self) -> dict[str, list[str]]:
        """Return the health of every target by job."""
        found: dict[str, list[str]] = {}
        for target in self._get("targets")["data"]["activeTargets"]:
            found.setdefault(target["labels"]["job"], []).append(target["health"])
        return found

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:  # a refused query has its reason in the body
            answer = json.load(error)
        return answer
