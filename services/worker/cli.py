"""`detector evidence`: check evidence bundles. Needs the model runtime, and no server."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shared.core.settings import REPOSITORY_ROOT

app = typer.Typer(
    help="Check evidence bundles.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _group() -> None:
    """Check evidence bundles."""


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="ZIP file of `GET /images/{id}/evidence`.")],
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model package that judged the photo [DETECTOR_MODEL_DIR, or the one"
            " that is shipped]."
        ),
    ] = None,
    trust_anchors: Annotated[
        Path | None, typer.Option(help="PEM file of trust anchors that the worker had, if any.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="By how much the probability may differ.")
    ] = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Compute the verdict of a bundle again and compare.

    Exit code: 0 when it is the same, 1 when not, 2 when it cannot be computed here.
    """
    from services.worker.verify import verify as compare  # noqa: PLC0415  # the runtime: slow
    from shared.present.evidence import read_bundle  # noqa: PLC0415

    bundle = read_bundle(file)
    checks = list(compare(bundle, model or _default_model(), trust_anchors, tolerance))
    for check in checks:
        if as_json:
            print(json.dumps(asdict(check)), flush=True)
        else:
            mark = "ok " if check.holds else "NOT"
            print(f"{mark}  {check.name}: stored {check.stored}, now {check.now}")
    if not as_json:
        print(f"photo SHA-256 {bundle.image.sha256}, image {bundle.image.id}")
    if not all(check.holds for check in checks):
        raise typer.Exit(1)


def _default_model() -> Path:
    return Path(os.environ.get("DETECTOR_MODEL_DIR") or REPOSITORY_ROOT / "models" / "champion")
