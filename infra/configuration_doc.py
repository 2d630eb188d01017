"""Prints docs/configuration.md from the settings classes: `python -m infra.configuration_doc`.

The comment above a field is its documentation, so the page cannot disagree with the code.
"""

import inspect
import re

from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from infra.local.mlflow_ui import MlflowUiSettings
from infra.local.settings import LocalSettings
from services.drift.settings import DriftSettings
from services.gateway.settings import GatewaySettings
from services.ingest.settings import IngestSettings
from services.maintenance.settings import MaintenanceSettings
from services.training.data.settings import DatasetSettings
from services.training.settings import TrainingSettings
from services.webhooks.settings import DispatcherSettings
from services.worker.settings import WorkerSettings
from shared.core.settings import REPOSITORY_ROOT, BaseAppSettings
from shared.registry.settings import RegistrySettings
from shared.settings.drift import DriftWindowSettings
from shared.settings.fetch import FetchSettings
from shared.settings.webhooks import WebhookSettings

SETTINGS: list[tuple[str, str, type[BaseSettings]]] = [
    ("Every service", "Where the servers are, and how to log.", BaseAppSettings),
    ("Photos by URL", "Gateway and ingest", FetchSettings),
    ("Gateway and webhooks", "[webhooks.md](webhooks.md)", WebhookSettings),
    ("Gateway", "`python -m services.gateway`", GatewaySettings),
    ("Worker", "`python -m services.worker`", WorkerSettings),
    ("Webhooks", "`python -m services.webhooks`", DispatcherSettings),
    (
        "Drift's windows",
        "The drift service and its rehearsal, `detector drift simulate`",
        DriftWindowSettings,
    ),
    ("Drift", "`python -m services.drift` ([drift.md](drift.md))", DriftSettings),
    ("Ingest", "`python -m services.ingest` ([catalogs.md](catalogs.md))", IngestSettings),
    ("Maintenance", "`python -m services.maintenance`", MaintenanceSettings),
    (
        "Model registry",
        "`detector models`, training, workers that follow an alias ([registry.md](registry.md))",
        RegistrySettings,
    ),
    ("MLflow's pages", "`make mlflow`", MlflowUiSettings),
    ("Training", "`python -m services.training`", TrainingSettings),
    ("Data set", "`detector data` ([data.md](data.md))", DatasetSettings),
    ("Embedded stack", "`make up`, `make demo`", LocalSettings),
]

_HEAD = """# Configuration

Every setting is an environment variable. Secrets have no default: outside the embedded stack they
must be set, and a service that lacks one ends at once and says which. `make up` sets all of them
for the servers that it starts; set `DETECTOR_DATABASE_URL`, `DETECTOR_REDIS_URL` or the three
`DETECTOR_S3_…` beforehand and it uses your servers instead.

Clients (`detector`, the web UI) read `DETECTOR_URL` and `DETECTOR_API_KEY`; where these are not set
they take them from `.local/detector.env`, which `make up` writes.

<!-- Written by `python -m infra.configuration_doc`; edit the settings classes instead. -->
"""


def render() -> str:
    """Return the whole page as Markdown."""
    parts = [_HEAD]
    for title, intro, cls in SETTINGS:
        rows = [_row(cls, name) for name in cls.model_fields if name in cls.__annotations__]
        parts.append(f"\n## {title}\n\n{intro}\n\n| variable | default | meaning |\n|---|---|---|")
        parts.extend(rows)
    return "\n".join(parts) + "\n"


def variable_of(cls: type[BaseSettings], name: str) -> str:
    """Return the environment variable that sets a field."""
    return f"{cls.model_config.get('env_prefix', '')}{name}".upper()


def _row(cls: type[BaseSettings], name: str) -> str:
    field = cls.model_fields[name]
    return f"| `{variable_of(cls, name)}` | {_default(field)} | {_comment(cls, name)} |"


def _default(field: object) -> str:
    default = getattr(field, "default", PydanticUndefined)
    if getattr(field, "default_factory", None) is not None:
        return "computed"
    if default is PydanticUndefined:
        return "**required**"
    if default in (None, ""):
        return "none"
    return f"`{str(default).replace(str(REPOSITORY_ROOT) + '/', '')}`"


def _comment(cls: type[BaseSettings], name: str) -> str:
    lines: list[str] = []
    for line in inspect.getsource(cls).splitlines():
        stripped = line.strip()
        if stripped.startswith("# "):
            lines.append(stripped[2:])
        elif re.match(rf"{name}\s*:", stripped):
            return " ".join(lines).replace("|", "\\|")
        else:
            lines = []
    return ""


if __name__ == "__main__":
    print(render(), end="")
