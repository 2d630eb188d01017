"""Prints the names that clients and processes rely on: `python -m infra.checks.interfaces`.

The structure of the OpenAPI document (no prose), environment variables, metrics, events, tasks,
queues, topics and channels. `interfaces.json` next to this file holds them as they were committed;
whoever changes one on purpose writes the file again, with a line in CHANGELOG.md:

    python -m infra.checks.interfaces > infra/checks/interfaces.json
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from infra.configuration_doc import SETTINGS, variable_of
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.contracts import tasks
from shared.contracts.events import EventType
from shared.core.settings import REPOSITORY_ROOT

SNAPSHOT: Final = Path(__file__).with_name("interfaces.json")

_PROSE = frozenset({"description", "summary", "example", "examples"})
# Below these the keys are names that clients use, not words of OpenAPI.
_NAMES = frozenset({"properties", "schemas", "paths", "responses", "headers", "content"})
_METRICS = frozenset({"Counter", "Gauge", "Histogram", "counter", "histogram", "live_sum"})
_VARIABLE = re.compile(r"DETECTOR_[A-Z0-9_]*[A-Z0-9]")


def interfaces() -> dict[str, Any]:
    """Return all names, ready for JSON and in a fixed order."""
    trees = [ast.parse(path.read_text()) for path in _modules()]
    return {
        "openapi": structure(create_app(nowhere()).openapi()),
        "environment": sorted({*_settings(), *_variables(trees)}),
        "metrics": dict(sorted(_metrics(trees))),
        "events": sorted(EventType),
        "tasks": {name: value for name, value in sorted(vars(tasks).items()) if name.isupper()},
    }


def structure(node: Any, *, names: bool = False) -> Any:
    """Return a part of an OpenAPI document without prose; `names`: its keys are names."""
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if names or key not in _PROSE}
        return {
            key: structure(value, names=not names and key in _NAMES) for key, value in kept.items()
        }
    if isinstance(node, list):
        return [structure(value) for value in node]
    return node


def nowhere() -> GatewaySettings:
    """Return settings of a gateway whose document is wanted, and which never connects."""
    return GatewaySettings.model_validate(
        {
            "database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none",
            "redis_url": "redis://127.0.0.1:1/0",
            "s3_endpoint": "http://127.0.0.1:1",
            "s3_access_key": "a",
            "s3_secret_key": "s",
            "webhook_secret_keys": "00" * 32,
        }
    )


def _modules() -> Iterator[Path]:
    for top in ("services", "shared", "infra"):
        yield from sorted((REPOSITORY_ROOT / top).rglob("*.py"))


def _settings() -> Iterator[str]:
    for _, _, cls in SETTINGS:
        for name in cls.model_fields:
            yield variable_of(cls, name)


def _variables(trees: list[ast.Module]) -> Iterator[str]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and _VARIABLE.fullmatch(str(node.value)):
                yield str(node.value)


def _metrics(trees: list[ast.Module]) -> Iterator[tuple[str, list[str]]]:
    """Yield each metric with its kind and labels, as the code declares it."""
    for tree in trees:
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            name = node.args[0]
            if kind in _METRICS and isinstance(name, ast.Constant) and isinstance(name.value, str):
                labels = [
                    part.value
                    for argument in [
                        *node.args[2:3],
                        *(k.value for k in node.keywords if k.arg == "labelnames"),
                    ]
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant)
                ]
                yield name.value, [kind.lower(), *map(str, labels)]


if __name__ == "__main__":
    print(json.dumps(interfaces(), indent=1))
