"""`detector models`: what is registered, who is champion, and how that came to be."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.training.registry.promotion import Promoter, PromotionRefused, actor
from services.training.settings import RegistryCommandSettings
from shared.core.errors import DetectorError
from shared.registry.records import CHALLENGER, ModelVersion, Promotion
from shared.registry.registry import ModelRegistry

app = typer.Typer(
    help="List, register and promote model packages.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)
# What `list` shows of a version's numbers; `show` has all.
_COLUMNS = (
    ("test_unseen_source.clean.auc", "AUC source"),
    ("test_unseen_source.q40.auc", "AUC source q40"),
    ("test_unseen_generator.clean.auc", "AUC generator"),
    ("test_unseen_source.clean.recall_at_5pct_fpr", "recall@5%"),
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
Which = Annotated[str, typer.Argument(metavar="VERSION", help="A number, or an alias.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List every registered version, newest first."""
    with _told():
        versions = _promoter().registry.versions()
    if as_json:
        _print_json([_as_json(version) for version in versions])
        return
    _print_table(
        ["version", "package", "alias", "registered", "network", *(t for _, t in _COLUMNS)],
        [
            [
                str(version.number),
                version.package_version,
                ", ".join(version.aliases),
                f"{version.created_at:%Y-%m-%d %H:%M}",
                version.architecture,
                *(_number(version.metrics.get(key)) for key, _ in _COLUMNS),
            ]
            for version in versions
        ],
    )


@app.command()
def show(which: Which, as_json: JsonOption = False) -> None:
    """Show one version, and what the quality gate says of it."""
    with _told():
        promoter = _promoter()
        version = promoter.find(which)
        refusals = promoter.check(version).refusals
    if as_json:
        _print_json(_as_json(version) | {"gate_refusals": list(refusals)})
        return
    facts = _as_json(version)
    metrics = facts.pop("metrics")
    rows = [[key.replace("_", " "), _plain(value)] for key, value in facts.items()]
    _print_table(["what", ""], rows)
    _print_table(["measured", "value"], [[name, _number(value)] for name, value in metrics.items()])
    if refusals:
        print("The quality gate refuses it:")
        _print_lines(refusals)
    else:
        print("The quality gate lets it pass.")


@app.command()
def register(
    directory: Annotated[Path, typer.Argument(help="A model package directory.")],
    as_json: JsonOption = False,
) -> None:
    """Upload a package as a new version and make it the challenger."""
    with _told():
        promoter = _promoter()
        version = promoter.registry.register(directory)
        if not version.aliases:
            promoter.registry.set_alias(CHALLENGER, version.number)
            version = promoter.registry.version(version.number)
    if as_json:
        _print_json(_as_json(version))
        return
    print(f"{version.package_version} is version {version.number}: {', '.join(version.aliases)}")


@app.command()
def promote(
    which: Which,
    force: Annotated[
        bool, typer.Option("--force", help="Past the quality gate; needs --reason.")
    ] = False,
    reason: ReasonOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a version champion: every worker that follows the alias takes it within seconds."""
    with _told():
        promotion = _promoter().promote(which, force=force, reason=reason)
    _print_promotion(promotion, as_json)


@app.command()
def rollback(reason: ReasonOption = "", as_json: JsonOption = False) -> None:
    """Make the champion before the present one champion again."""
    with _told():
        promotion = _promoter().rollback(reason=reason)
    _print_promotion(promotion, as_json)


@app.command()
def history(as_json: JsonOption = False) -> None:
    """Show who promoted what, when and why, oldest first."""
    with _told():
        entries = _promoter().registry.history()
    if as_json:
        _print_json([entry.model_dump(mode="json") for entry in entries])
        return
    _print_table(
        ["when", "who", "action", "version", "package", "before", "reason"],
        [
            [
                f"{entry.at:%Y-%m-%d %H:%M:%S}",
                entry.by,
                f"{entry.action}, forced" if entry.forced else entry.action,
                str(entry.version),
                entry.package_version,
                _plain(entry.previous),
                entry.reason,
            ]
            for entry in entries
        ],
    )


def _promoter() -> Promoter:
    settings = RegistryCommandSettings()
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.mlflow_model_name)
    return Promoter(registry, settings.model_cache_dir, settings.model_dir, actor())


@contextmanager
def _told() -> Iterator[None]:
    """Print an expected failure in words: 1 for a refusal, 2 for everything else."""
    try:
        yield
    except PromotionRefused as error:
        print(f"detector: {error}", file=sys.stderr)
        _print_lines(error.reasons, sys.stderr)
        if error.reasons:
            print("To promote it all the same: --force --reason '…'", file=sys.stderr)
        raise typer.Exit(1) from error
    except DetectorError as error:
        print(f"detector: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def _print_promotion(promotion: Promotion, as_json: bool) -> None:
    if as_json:
        _print_json(promotion.model_dump(mode="json"))
        return
    before = f", before it version {promotion.previous}" if promotion.previous else ""
    print(f"champion is version {promotion.version} ({promotion.package_version}){before}")
    if promotion.forced:
        print("The quality gate was overridden; it had said:")
        _print_lines(promotion.refusals)


def _as_json(version: ModelVersion) -> dict[str, Any]:
    return asdict(version) | {"created_at": version.created_at.isoformat()}


def _print_json(value: object) -> None:
    print(json.dumps(value), flush=True)


def _print_lines(lines: Sequence[str], stream: Any = None) -> None:
    for line in lines:
        print(f"  - {line}", file=stream)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text, not markup: reasons are written by people.
        table.add_row(*(Text(cell) for cell in row))
    # A pipe has no width of its own: there rows are as long as they are.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _plain(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
