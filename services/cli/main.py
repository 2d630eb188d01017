"""Entry point of `detector`: wiring and the last word on errors."""

import sys
from typing import ClassVar

import typer

from services.cli.lazy import LazyCommand, LazyGroup
from shared.core.errors import DetectorError

_CLIENT = "pip install -e '.[cli]'"
_TRAINING = "pip install -e '.[training,cli]'"


class _Commands(LazyGroup):
    # Training is another service: services meet through names, never through imports.
    lazy_commands: ClassVar[dict[str, LazyCommand]] = {
        "up": LazyCommand(
            "services.cli.up:app",
            "Start the servers and every service on this machine.",
            install_hint="pip install -e '.[local,gateway,worker-cpu,ui,cli]'",
        ),
        "submit": LazyCommand(
            "services.cli.submit.command:app",
            "Send photos and print their verdicts.",
            install_hint=_CLIENT,
        ),
        "jobs": LazyCommand(
            "services.cli.jobs:app", "Look at jobs and cancel them.", install_hint=_CLIENT
        ),
        "images": LazyCommand(
            "services.cli.images:app",
            "Look at photos, review their verdicts, download their evidence.",
            install_hint=_CLIENT,
        ),
        "catalog": LazyCommand(
            "services.cli.catalog:app",
            "Send catalogs of photos and download their verdicts.",
            install_hint=_CLIENT,
        ),
        "webhooks": LazyCommand(
            "services.cli.webhooks.command:app",
            "Register webhooks, follow their deliveries, send them again.",
            install_hint=_CLIENT,
        ),
        "drift": LazyCommand(
            "services.cli.drift.command:app",
            "See whether predictions have drifted, and why.",
            install_hint=_CLIENT,
        ),
        "keys": LazyCommand("services.cli.keys:app", "Create, list, rotate and revoke API keys."),
        "tenants": LazyCommand("services.cli.tenants:app", "List tenants and set their limits."),
        "db": LazyCommand("services.cli.db:app", "Migrate the database."),
        "doctor": LazyCommand(
            "services.cli.doctor.command:app",
            "Check every dependency and say how to mend it.",
            install_hint=_CLIENT,
        ),
        "evidence": LazyCommand(
            "services.worker.evidence.cli:app",
            "Compute the verdict of an evidence bundle again.",
            optional=True,
            install_hint="pip install -e '.[worker-cpu,cli]'",
        ),
        "data": LazyCommand(
            "services.training.data.cli:app",
            "Fetch, check, split and make the photos that training reads.",
            optional=True,
            install_hint=_TRAINING,
        ),
        "train": LazyCommand(
            "services.training.cli:app",
            "Train a model, or go on with a stopped run.",
            member="train",
            optional=True,
            install_hint=_TRAINING,
        ),
        "evaluate": LazyCommand(
            "services.training.cli:app",
            "Measure a model package on the test splits.",
            member="evaluate",
            optional=True,
            install_hint=_TRAINING,
        ),
        "package": LazyCommand(
            "services.training.cli:app",
            "Calibrate, measure and package a trained run.",
            member="package",
            optional=True,
            install_hint=_TRAINING,
        ),
        "models": LazyCommand(
            "services.training.registry.cli:app",
            "List, register and promote model packages.",
            optional=True,
            install_hint=_TRAINING,
        ),
    }


app = typer.Typer(
    cls=_Commands,
    help="Tell real product photos from AI-generated ones.",
    # Plain help: the boxed one needs rich and markdown-it, and takes several times as long.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root() -> None:
    """Tell real product photos from AI-generated ones."""


def main() -> None:
    """Run the command line; exits with 0, 1 (some photos failed) or 2 (usage, connection)."""
    try:
        app(prog_name="detector")
    except DetectorError as error:
        sys.stderr.write(f"detector: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
