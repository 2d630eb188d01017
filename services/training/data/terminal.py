"""What the data commands show: progress on stderr, results on stdout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.training.data.sources.fetch import Tell
from services.training.errors import TrainingError

# Messages hold lists and paths, which must not be taken for markup.
errors = Console(stderr=True, markup=False, highlight=False)
_results = Console(markup=False, highlight=False)


@contextmanager
def progress(title: str) -> Iterator[Tell]:
    """Give a function that is called with (done, all) and moves a bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def told() -> Iterator[None]:
    """Print an expected failure as one line and exit with 2, without a traceback."""
    try:
        yield
    except (TrainingError, OSError) as error:
        errors.print(f"error: {error}", style="red")
        raise typer.Exit(2) from error


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a plain table; numbers are right-aligned."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*map(str, row))
    _results.print(shown)


def line(text: str, style: str = "") -> None:
    """Print one result line, unwrapped."""
    _results.print(text, style=style, soft_wrap=True)
