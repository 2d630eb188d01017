"""`detector evidence`: check evidence bundles. Needs the model runtime, and no server."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.core.settings import REPOSITORY_ROOT

if TYPE_CHECKING:
    from shared.keys.evidence import EvidenceKey

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
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="By how much the probability may differ [by the verdict's precision: 0.01 in f32,"
            " 0.06 in bf16, …].",
        ),
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            help="What GET /evidence/keys of the detector answered, or a PEM file: then the bundle"
            " must be signed by one of these keys."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Check a bundle's signature, compute its verdict again and compare.

    Exit code: 0 when it is the same, 1 when not, 2 when it cannot be computed here.
    """
    from services.worker.evidence.signature import check_signature  # noqa: PLC0415  # the runtime: slow
    from services.worker.evidence.verify import verify as compare  # noqa: PLC0415
    from shared.present.evidence import read_bundle  # noqa: PLC0415

    bundle = read_bundle(file)
    signature = check_signature(bundle, _keys(public_key) if public_key else None)
    again = compare(bundle, model or _default_model(), trust_anchors, tolerance)
    checks = [signature, *again]
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


def _keys(path: Path) -> "list[EvidenceKey]":
    from shared.core.errors import DetectorError  # noqa: PLC0415
    from shared.keys.evidence import read_public_keys  # noqa: PLC0415

    try:
        return read_public_keys(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DetectorError(f"{path} cannot be used as public keys: {error}") from error


def _default_model() -> Path:
    return Path(os.environ.get("DETECTOR_MODEL_DIR") or REPOSITORY_ROOT / "models" / "champion")
