"""`make mlflow`: MLflow's pages over the store that training and `detector models` use."""

import os
import sys

from pydantic import Field

from shared.core.settings import load_settings
from shared.registry.mlflow_client import shown, sqlite_path
from shared.registry.settings import RegistrySettings


class MlflowUiSettings(RegistrySettings):
    """Settings of `make mlflow`."""

    # Port of the pages on 127.0.0.1; they have no login.
    mlflow_ui_port: int = Field(default=5000, ge=1, le=65535)


def command(settings: MlflowUiSettings) -> list[str]:
    """Return the server's command line. Exits with 2 when the store is no local file."""
    path = sqlite_path(settings.mlflow_tracking_uri)
    if path is None:
        print(
            f"The registry is at {shown(settings.mlflow_tracking_uri)} already: open it there.",
            file=sys.stderr,
        )
        sys.exit(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(settings.mlflow_ui_port)),
        *("--backend-store-uri", settings.mlflow_tracking_uri),
        *("--artifacts-destination", (path.parent / "artifacts").as_uri()),
    ]


def main() -> None:
    """Become the server until Ctrl-C."""
    settings = load_settings(MlflowUiSettings)
    arguments = command(settings)
    print(f"MLflow: http://127.0.0.1:{settings.mlflow_ui_port}  (Ctrl-C stops it)", flush=True)
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    os.execve(sys.executable, arguments, environment)  # noqa: S606  # no shell, our own program


if __name__ == "__main__":
    main()
