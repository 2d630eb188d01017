"""`detector submit`: photos in, verdicts out."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.client import AsJsonLines
from services.cli.output import (
    LABEL_STYLE,
    LABEL_TEXT,
    basis_text,
    fail,
    new_app,
    print_json,
    print_table,
    say,
)

if TYPE_CHECKING:
    from services.cli.submit.photos import PhotoFile
    from services.cli.submit.submission import BatchResult, Outcome, Submitter

app = new_app("Send photos and print their verdicts.")

# A job takes at most this many photos (shared.contracts: one job is one listing).
MAX_BATCH = 64
_DEFAULT_BATCH = 16
# How long a gateway may be away in the middle of a run, in seconds: a deploy takes less.
_RESTART_SECONDS = 60.0

Paths = Annotated[
    list[str],
    typer.Argument(help="Photos, directories (searched for photos) or glob patterns."),
]
ListingId = Annotated[
    str | None, typer.Option(help="Listing that the photos belong to: all go into one job.")
]
Category = Annotated[str | None, typer.Option(help="Product category, kept with the job.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Print job ids and do not wait.")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds to wait for the verdicts of a job.")]
Batch = Annotated[int | None, typer.Option(min=1, max=MAX_BATCH, help="Photos per job [16].")]
Concurrency = Annotated[int, typer.Option(min=1, max=32, help="Jobs on their way at a time.")]


@app.command()
def submit(
    paths: Paths,
    listing_id: ListingId = None,
    category: Category = None,
    as_json: AsJsonLines = False,
    no_wait: NoWait = False,
    timeout: Timeout = 600.0,
    batch: Batch = None,
    concurrency: Concurrency = 4,
) -> None:
    """Send photos and print their verdicts.

    Exit code: 0 when every photo got a verdict (with --no-wait: was accepted), 1 when some did
    not, 2 when nothing could be sent.
    """
    from services.cli.submit.photos import NoPhotos, batches, collect
    from services.cli.submit.submission import Submitter
    from shared.client.config import load_client_config
    from shared.client.http import DetectorClient
    from shared.client.retry import RetryPolicy

    config = load_client_config()
    try:
        photos = collect(paths)
    except NoPhotos as error:
        fail(str(error))
    if listing_id and len(photos) > (batch or MAX_BATCH):
        fail(f"a listing is one job of at most {batch or MAX_BATCH} photos; got {len(photos)}.")
    size = batch or (MAX_BATCH if listing_id else _DEFAULT_BATCH)
    # That it is there is checked first; from then on a restart is waited for.
    retry = RetryPolicy(busy=timeout, unreachable=_RESTART_SECONDS)
    with DetectorClient(config, connections=concurrency, retry=retry) as client:
        client.probe("/health/live")  # a gateway that is away is told at once
        submitter = Submitter(
            client,
            listing_id=listing_id,
            category=category,
            timeout_seconds=timeout,
            wait=not no_wait,
        )
        results = _results(submitter, batches(photos, size), len(photos), concurrency)
        failed = _print_ids(results, as_json) if no_wait else _print_verdicts(results, as_json)
    if failed:
        raise typer.Exit(1)


def _results(
    submitter: "Submitter", work: "list[list[PhotoFile]]", total: int, concurrency: int
) -> "Iterator[BatchResult]":
    """Yield the results under a progress bar; names the jobs left behind when cut short."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    from services.cli.submit.parallel import in_order

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    task = bar.add_task("photos", total=total)

    def advance(result: "BatchResult") -> None:
        files = sum(len(sent.files) for sent in result.sent)
        bar.advance(task, max(len(result.outcomes), files))

    try:
        with bar:
            yield from in_order(submitter.process, work, concurrency, advance)
    except BaseException:
        for job_id in sorted(submitter.unfinished):
            say(f"job {job_id} was accepted and goes on: detector jobs get {job_id}")
        raise


def _print_ids(results: "Iterator[BatchResult]", as_json: bool) -> int:
    """Print the accepted jobs, one a line; return how many photos were not accepted."""
    failed = 0
    for result in results:
        for sent in result.sent:
            if as_json:
                print_json({"id": str(sent.job.id), "files": sent.files})
            else:
                print(sent.job.id, flush=True)
        for outcome in result.outcomes:
            failed += 1
            say(f"{outcome.file}: {outcome.error_code}: {outcome.error_detail}")
    return failed


def _print_verdicts(results: "Iterator[BatchResult]", as_json: bool) -> int:
    """Print one line or row per photo; return how many got no verdict."""
    started = time.monotonic()
    outcomes: list[Outcome] = []
    last: BatchResult | None = None
    try:
        for last in results:
            outcomes += last.outcomes
            if as_json:
                for outcome in last.outcomes:
                    print_json(outcome.as_json())
    finally:
        # What is known is shown even when the run was cut short.
        if not as_json and outcomes:
            _print_outcomes(outcomes)
    if not as_json:
        _say_summary(outcomes, last, time.monotonic() - started)
    return sum(outcome.error_code is not None for outcome in outcomes)


def _print_outcomes(outcomes: "list[Outcome]") -> None:
    # One version for all is said once, in the summary.
    mixed = len(_versions(outcomes)) > 1
    print_table(
        ["file", "verdict", "P(AI)", "basis", "model", "error"],
        (_row(outcome, with_model=mixed) for outcome in outcomes),
        right=["P(AI)"],
    )


def _versions(outcomes: "list[Outcome]") -> set[str]:
    return {outcome.model_version for outcome in outcomes if outcome.model_version}


def _row(outcome: "Outcome", *, with_model: bool) -> list[tuple[str, str]]:
    label = outcome.label or ""
    error = f"{outcome.error_code}: {outcome.error_detail}" if outcome.error_code else ""
    probability = "" if outcome.probability is None else f"{outcome.probability:.3f}"
    return [
        (outcome.file, ""),
        (LABEL_TEXT.get(label, label) or "–", LABEL_STYLE.get(label, "dim")),
        (probability, ""),
        (basis_text(outcome.basis, outcome.pixels_probability), "dim"),
        (outcome.model_version or "" if with_model else "", "dim"),
        (error, "red"),
    ]


def _say_summary(outcomes: "list[Outcome]", last: "BatchResult | None", seconds: float) -> None:
    counts = Counter(outcome.label or "failed" for outcome in outcomes)
    parts = [
        f"{counts[name]} {LABEL_TEXT.get(name, name)}"
        for name in ("real", "ai_generated", "uncertain", "failed")
        if counts[name]
    ]
    versions = _versions(outcomes)
    model = f", model {versions.pop()}" if len(versions) == 1 else ""
    say(f"{len(outcomes)} photos in {seconds:.1f} s{model}: {', '.join(parts)}")
    if last and last.listing and len(last.outcomes) == len(outcomes) > 1:
        label = LABEL_TEXT[last.listing.label.value]
        say(f"all together: {label} ({last.listing.reason})")
