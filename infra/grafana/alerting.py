"""Grafana's alert rules, made from Prometheus's: the same signal, number, time and words.

Grafana expands `$` in files that it provisions, so none may be in them: its templates are written
with `.Labels` and `.Values` instead of `$labels` and `$value`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.grafana.panels import DATASOURCE

RULES = Path(__file__).resolve().parents[1] / "prometheus" / "rules"
# Not the dashboards' folder: whichever of the two is provisioned second would find its title taken.
_FOLDER = "Detector alerts"
_INTERVAL = "30s"
# Seconds back that a query looks; the last sample counts.
_LOOK_BACK = 300
_FORM = re.compile(r"(?P<signal>[a-z0-9_:]+(?:{.+})?) (?P<operator>[<>]) (?P<number>[0-9.]+)")
_EVALUATORS = {"<": "lt", ">": "gt"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """`signal` compared with `number`; `operator` is `<` or `>`."""

    signal: str
    operator: str
    number: float


def condition(expression: str) -> Condition:
    """Take an alert's expression apart; raises ValueError for another form."""
    match = _FORM.fullmatch(expression.strip())
    if match is None:
        raise ValueError(f"not `SIGNAL < NUMBER` or `SIGNAL > NUMBER`: {expression}")
    return Condition(match["signal"], match["operator"], float(match["number"]))


def read_groups(directory: Path = RULES) -> list[Json]:
    """Return Prometheus's groups of rules."""
    return [
        group
        for file in sorted(directory.glob("*.yml"))
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    ]


def render(groups: Iterable[Json]) -> Json:
    """Return the file that Grafana provisions its alert rules from."""
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": group["name"],
                "folder": _FOLDER,
                "interval": _INTERVAL,
                "rules": [_rule(rule) for rule in group["rules"] if "alert" in rule],
            }
            for group in groups
        ],
    }


def uid(alert: str) -> str:
    """Return the fixed id of an alert: `DetectorQueueAge` is `detector-queue-age`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert).lower()


def _rule(alert: Json) -> Json:
    compared = condition(alert["expr"])
    return {
        "uid": uid(alert["alert"]),
        "title": alert["alert"],
        "condition": "alert",
        "data": [_query(compared), _last_value(), _threshold(compared)],
        "noDataState": _no_data_state(compared),
        # Prometheus does not answer: somebody must know.
        "execErrState": "Error",
        "for": alert["for"],
        "labels": dict(alert["labels"]),
        "annotations": {name: _template(text) for name, text in alert["annotations"].items()},
        "isPaused": False,
    }


def _no_data_state(compared: Condition) -> str:
    """Return what a missing signal means.

    Signals are there while all is well. When one is gone, so is the service that tells it, and that
    service's own alert fires. Only `detector:service:up` needs no service: without it Prometheus
    does not evaluate our rules.
    """
    return "NoData" if compared.signal.startswith("detector:service:up") else "OK"


def _query(compared: Condition) -> Json:
    return {
        "refId": "signal",
        "datasourceUid": DATASOURCE["uid"],
        "relativeTimeRange": {"from": _LOOK_BACK, "to": 0},
        "model": {
            "refId": "signal",
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": compared.signal,
            "instant": True,
            "range": False,
            "intervalMs": 15_000,
            "maxDataPoints": 43_200,
        },
    }


def _last_value() -> Json:
    # Not a number (the latency of a route without requests) counts as 0.
    settings = {"mode": "replaceNN", "replaceWithValue": 0}
    return _expression(
        "value", {"type": "reduce", "expression": "signal", "reducer": "last", "settings": settings}
    )


def _threshold(compared: Condition) -> Json:
    evaluator = {"type": _EVALUATORS[compared.operator], "params": [compared.number]}
    return _expression(
        "alert",
        {"type": "threshold", "expression": "value", "conditions": [{"evaluator": evaluator}]},
    )


def _expression(reference: str, model: Json) -> Json:
    return {
        "refId": reference,
        "datasourceUid": "__expr__",
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": {
            "refId": reference,
            "datasource": {"type": "__expr__", "uid": "__expr__"},
            **model,
        },
    }


def _template(text: str) -> str:
    return re.sub(r"\$labels\b", ".Labels", re.sub(r"\$value\b", ".Values.value.Value", text))
