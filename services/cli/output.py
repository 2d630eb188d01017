"""What the commands print: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

# One colour per verdict, the same in every table.
LABEL_STYLE = {"real": "green", "ai_generated": "red", "uncertain": "yellow"}
LABEL_TEXT = {"real": "real", "ai_generated": "AI-generated", "uncertain": "uncertain"}


def basis_text(basis: str | None, pixels_probability: float | None) -> str:
    """Return what decided a verdict; of a statement also what the pixels alone gave."""
    if basis != "statement" or pixels_probability is None:
        return basis or ""
    return f"statement (pixels {pixels_probability:.3f})"


def new_app(help_text: str) -> typer.Typer:
    """Return an app for one subcommand (or group of them), in the house style."""
    return typer.Typer(
        help=help_text,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        add_completion=False,
    )


def printable(text: str) -> str:
    """Return `text` with control characters and undecodable bytes escaped.

    File names and messages come from elsewhere: they must not drive the terminal.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def say(message: str) -> None:
    """Print one line for people."""
    print(printable(message), file=sys.stderr, flush=True)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print what went wrong and how to mend it, and exit."""
    say(f"detector: {message}")
    raise typer.Exit(code)


def print_json(value: Any) -> None:
    """Print one object on one line of stdout, at once: readers may be waiting."""
    print(json.dumps(value), flush=True)


def print_models(*models: "BaseModel") -> None:
    """Print answers of the API as they are, one on a line."""
    for model in models:
        print_json(model.model_dump(mode="json"))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[tuple[str, str]]], right: Sequence[str] = ()
) -> None:
    """Print a table on stdout; cells are (text, style), `right` names right-aligned columns.

    A column without any text is left out.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    cells = [list(row) for row in rows]
    shown = [index for index in range(len(columns)) if any(row[index][0] for row in cells)]
    for index in shown:
        side: Literal["left", "right"] = "right" if columns[index] in right else "left"
        table.add_column(columns[index], justify=side, overflow="fold")
    for row in cells:
        table.add_row(*(Text(printable(row[index][0]), row[index][1]) for index in shown))
    if sys.stdout.isatty():
        Console().print(table)
        return
    # A pipe has no width of its own: rows are as long as they are, and nobody sees the padding.
    console = Console(width=1000)
    with console.capture() as capture:
        console.print(table)
    print("\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip()))
