"""`detector catalog`: photos by the thousand."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from services.cli.client import AsJson, gateway_client, write_parts
from services.cli.output import fail, new_app, print_models, print_table, say

if TYPE_CHECKING:
    from shared.client.http import DetectorClient
    from shared.contracts.wire.catalogs import Catalog

app = new_app("Send catalogs of photos and download their verdicts.")

_PREFIX = "s3:"
_LISTED = 20


class _Manifest(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ZIP = "zip"


class _Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class _Rows(StrEnum):
    RESULTS = "results"
    ERRORS = "errors"


CatalogId = Annotated[UUID, typer.Argument(metavar="ID", help="The catalog's id.")]


@app.callback()
def _group() -> None:
    """Send catalogs of photos and download their verdicts."""


@app.command()
def ingest(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV, JSON Lines or Parquet manifest, ZIP of photos, or s3:PREFIX below your"
            " import prefix.",
        ),
    ],
    watch: Annotated[bool, typer.Option(help="Show the progress until the end.")] = False,
    fmt: Annotated[_Manifest | None, typer.Option("--format", help="[by the file's name].")] = None,
    metadata: Annotated[str | None, typer.Option(help="A JSON object of your own.")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Told when it has finished.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Sent again with the same key, it is no second catalog.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a catalog. With --watch exit with 1 unless every row got a verdict."""
    facts = _facts(metadata)
    with gateway_client() as client:
        catalog = _submit(client, source, fmt, facts, webhook_url, idempotency_key)
        if watch:
            say(f"catalog {catalog.id}")
            catalog = _follow(client, catalog)
    if as_json:
        print_models(catalog)
    elif watch:
        _say_end(catalog)
    else:
        print(catalog.id)
        say(f"follow it with: detector catalog get {catalog.id} --watch")
    if watch and catalog.status != "succeeded":
        raise typer.Exit(1)


@app.command()
def get(
    catalog_id: CatalogId,
    watch: Annotated[bool, typer.Option(help="Show the progress until the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print how far a catalog has come."""
    with gateway_client() as client:
        catalog = client.catalogs.get(catalog_id)
        if watch:
            catalog = _follow(client, catalog)
    if as_json:
        print_models(catalog)
    else:
        _say_end(catalog)


@app.command("list")
def list_() -> None:
    """List the newest catalogs."""
    with gateway_client() as client:
        newest = list(islice(client.catalogs.list(page_size=_LISTED), _LISTED))
    print_table(
        ["id", "created", "status", "from", "rows", "judged", "failed"],
        [
            [
                (str(catalog.id), ""),
                (f"{catalog.created_at:%Y-%m-%d %H:%M}", "dim"),
                (catalog.status.value, ""),
                (catalog.filename or f"s3:{catalog.s3_prefix}", ""),
                (str(catalog.counts.total or catalog.counts.read), ""),
                (str(catalog.counts.completed), ""),
                (str(catalog.counts.failed), "red" if catalog.counts.failed else "dim"),
            ]
            for catalog in newest
        ],
        right=["rows", "judged", "failed"],
    )


@app.command()
def cancel(catalog_id: CatalogId) -> None:
    """Cancel what has not been judged."""
    with gateway_client() as client:
        _say_end(client.catalogs.cancel(catalog_id))


@app.command()
def export(
    catalog_id: CatalogId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [standard output].")
    ] = None,
    fmt: Annotated[
        _Format | None, typer.Option("--format", help="[by the file's name, else csv].")
    ] = None,
    rows: Annotated[_Rows, typer.Option(help="Rows with a verdict, or those without.")] = (
        _Rows.RESULTS
    ),
) -> None:
    """Download the verdicts of a catalog, or its errors."""
    chosen = fmt or _format_of(output)
    with gateway_client() as client, _download(client, catalog_id, rows, chosen) as parts:
        write_parts(parts, output, text=chosen is not _Format.PARQUET)


def _submit(
    client: "DetectorClient",
    source: str,
    fmt: _Manifest | None,
    facts: dict[str, Any],
    webhook_url: str | None,
    key: str | None,
) -> "Catalog":
    from shared.client.photo import Photo
    from shared.contracts.catalogs import CatalogFormat
    from shared.contracts.wire.catalogs import PrefixRequest

    if source.startswith(_PREFIX):
        request = PrefixRequest(
            s3_prefix=source.removeprefix(_PREFIX), metadata=facts, webhook_url=webhook_url
        )
        return client.catalogs.submit_prefix(request, idempotency_key=key)
    path = Path(source)
    try:
        return client.catalogs.submit(
            Photo(path.name, path),
            fmt=CatalogFormat(fmt.value) if fmt else None,
            metadata=facts,
            webhook_url=webhook_url,
            idempotency_key=key,
        )
    except OSError as error:
        fail(f"{source}: {error.strerror or error}")


def _download(
    client: "DetectorClient", catalog_id: UUID, rows: _Rows, fmt: _Format
) -> AbstractContextManager[Iterator[bytes]]:
    read = client.catalogs.results if rows is _Rows.RESULTS else client.catalogs.errors
    return read(catalog_id, fmt.value)


def _facts(metadata: str | None) -> dict[str, Any]:
    try:
        facts = json.loads(metadata) if metadata else {}
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        fail('--metadata must be a JSON object, such as \'{"batch": "november"}\'.')
    return facts


def _format_of(output: Path | None) -> _Format:
    suffix = output.suffix.lower().lstrip(".") if output else ""
    return _Format(suffix) if suffix in set(_Format) else _Format.CSV


def _follow(client: "DetectorClient", catalog: "Catalog") -> "Catalog":
    """Show a progress bar until the catalog is terminal; return it as it is then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        Elapsed(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("rows", total=None, state="")
        latest = catalog
        for latest in client.catalogs.watch(catalog.id, poll_seconds=1.0):
            counts = latest.counts
            bar.update(
                task,
                completed=counts.completed + counts.failed,
                total=counts.total,
                state=_state(latest),
            )
    return latest


def _state(catalog: "Catalog") -> str:
    parts = [f"{catalog.counts.failed} failed"] if catalog.counts.failed else []
    if catalog.rows_per_second:
        parts.append(f"{catalog.rows_per_second:.1f} rows/s")
    if catalog.eta_seconds:
        minutes, seconds = divmod(round(catalog.eta_seconds), 60)
        parts.append(f"about {minutes}:{seconds:02d} left")
    return ", ".join(parts)


def _say_end(catalog: "Catalog") -> None:
    counts = catalog.counts
    rows = f"of {counts.total}" if counts.total is not None else f"of {counts.read} read so far"
    duplicates = f", {counts.duplicates} duplicates" if counts.duplicates else ""
    say(
        f"catalog {catalog.id}: {catalog.status.value}, {counts.completed} judged and"
        f" {counts.failed} failed {rows}{duplicates}"
    )
    if catalog.error:
        say(f"reading ended early: {catalog.error.code.value}: {catalog.error.detail}")
    if counts.completed:
        say(f"verdicts: detector catalog export {catalog.id} -o results.csv")
    if counts.failed:
        say(f"errors: detector catalog export {catalog.id} --rows errors")
