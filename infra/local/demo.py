"""`make demo`: boot everything, send the sample photos, print their verdicts, stay up.

Every photo takes the product's one way: POST /jobs, S3, queue, worker, PostgreSQL, GET /jobs/{id}.
With `--once` or ONCE=1 it stops by itself; exit status 1 if a photo got no verdict.
"""

import argparse
import csv
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from infra.local.boot import Endpoints
from infra.local.errors import LocalStackError
from infra.local.processes.foreground import Progress, fail, running_stack, watch
from infra.local.servers.urls import ExternalServers
from infra.local.settings import LocalSettings
from infra.local.up import summary
from shared.client.config import ClientConfig
from shared.client.errors import ClientError
from shared.client.http import DetectorClient
from shared.client.photo import Photo
from shared.contracts.states import Label
from shared.contracts.wire.jobs import Verdict
from shared.core.settings import REPOSITORY_ROOT, load_settings

SAMPLES = REPOSITORY_ROOT / "data" / "samples" / "samples.csv"
_PARALLEL = 4
_WAIT_S = 60.0
_COLOURS = {Label.REAL: "green", Label.AI_GENERATED: "red", Label.UNCERTAIN: "yellow"}
_WORDS = {Label.REAL: "real", Label.AI_GENERATED: "AI-generated", Label.UNCERTAIN: "uncertain"}
_NOTE = (
    "P(AI): the model's probability that a generator made the photo.\n"
    "uncertain: the model does not decide, a person should look.\n"
    "A few samples do not measure a model; the tests in models/champion/MODEL_CARD.md do."
)


@dataclass(frozen=True)
class Sample:
    """One photo of data/samples and what is known of its origin (`real` or `ai_generated`)."""

    path: Path
    truth: str


@dataclass(frozen=True)
class Outcome:
    """What the product said of one sample; exactly one of `verdict` and `error` is set."""

    sample: Sample
    verdict: Verdict | None
    error: str | None
    seconds: float


def read_samples(listing: Path = SAMPLES) -> list[Sample]:
    """Return the listed photos. Raises LocalStackError when the list or a photo is missing."""
    if not listing.is_file():
        raise LocalStackError(f"{listing} is missing.\nWhat to do: restore it from the repository.")
    with listing.open(encoding="utf-8", newline="") as file:
        samples = [
            Sample(listing.parent / row["file"], row["label"]) for row in csv.DictReader(file)
        ]
    missing = [sample.path.name for sample in samples if not sample.path.is_file()]
    if missing or not samples:
        raise LocalStackError(
            f"{listing} lists photos that are not there: {', '.join(missing) or '(it is empty)'}.\n"
            "What to do: restore them from the repository."
        )
    return samples


def judge(client: DetectorClient, sample: Sample) -> Outcome:
    """Send one photo as a job of its own and wait for its verdict; errors become the outcome's."""
    begin = time.monotonic()
    verdict: Verdict | None = None
    error: str | None = None
    try:
        accepted = client.jobs.submit([Photo(sample.path.name, sample.path)])
        image = client.jobs.wait(accepted.id, _WAIT_S).images[0]
        verdict = image.verdict
        if verdict is None:
            error = image.error.detail if image.error else f"image is {image.status}"
    except ClientError as failure:
        error = str(failure)
    return Outcome(sample, verdict, error, time.monotonic() - begin)


def judge_all(endpoints: Endpoints, samples: Sequence[Sample]) -> list[Outcome]:
    """Send all samples, a few at a time; the outcomes keep the order."""
    config = ClientConfig(endpoints.url, endpoints.api_key)
    with DetectorClient(config) as client, ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda sample: judge(client, sample), samples))


def render(outcomes: Sequence[Outcome]) -> Table:
    """Return the table of verdicts, each beside the truth, with the totals below it.

    `time` is from upload to verdict as a client sees it.
    """
    models = sorted({o.verdict.model_version for o in outcomes if o.verdict})
    table = Table(
        title=f"{len(outcomes)} sample photos, judged by model {', '.join(models) or '(none)'}",
        title_justify="left",
        caption=f"{tally(outcomes)}.\n{_NOTE}",
        caption_justify="left",
        # So narrow that a terminal of 80 columns shows it whole.
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("file", no_wrap=True)
    table.add_column("truth", no_wrap=True)
    table.add_column("verdict")
    table.add_column("P(AI)", justify="right")
    table.add_column("outcome")
    table.add_column("time", justify="right", no_wrap=True)
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    return table


def _cells(outcome: Outcome) -> tuple[str, ...]:
    name, truth = outcome.sample.path.name, _WORDS[Label(outcome.sample.truth)]
    taken = f"{outcome.seconds:.1f} s"
    if outcome.verdict is None:
        return name, truth, f"[bold red]none: {outcome.error}", "", "", taken
    label = outcome.verdict.label
    shown = f"[{_COLOURS[label]}]{_WORDS[label]}"
    return name, truth, shown, f"{outcome.verdict.probability:.1%}", _outcome(outcome), taken


def _outcome(outcome: Outcome) -> str:
    """Return `right`, `uncertain` or `wrong`, or `none` where there is no verdict."""
    if outcome.verdict is None:
        return "none"
    label = outcome.verdict.label
    if label is Label.UNCERTAIN:
        return "uncertain"
    return "right" if label == outcome.sample.truth else "wrong"


def tally(outcomes: Sequence[Outcome]) -> str:
    """Return one line that counts how the verdicts compare with the truth."""
    counts = Counter(_outcome(outcome) for outcome in outcomes)
    return (
        f"{counts['right']} right, {counts['uncertain']} uncertain, {counts['wrong']} wrong,"
        f" {counts['none']} without a verdict"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the verdicts (or ONCE=1)")
    return parser.parse_args()


def main() -> int:
    """Run the demo; returns the exit status."""
    once = _arguments().once or os.environ.get("ONCE", "") not in {"", "0"}
    settings = load_settings(LocalSettings)
    report = Progress()
    complete = False
    try:
        samples = read_samples()
        with running_stack(settings, ExternalServers.from_environment(os.environ), report) as (
            stack,
            endpoints,
        ):
            outcomes = judge_all(endpoints, samples)
            report(f"{len(outcomes)} photos sent, {tally(outcomes)}")
            complete = all(outcome.verdict for outcome in outcomes)
            # In a pipe or a log rich would assume 80 columns and cut file names.
            console = Console() if sys.stdout.isatty() else Console(width=110)
            console.print(render(outcomes))
            if not once:
                print(summary(endpoints, stack.layout), flush=True)
                watch(stack, report)
    except KeyboardInterrupt:
        return 0 if complete else 1
    except LocalStackError as error:
        return fail(error)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
