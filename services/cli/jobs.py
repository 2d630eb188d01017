"""`detector jobs`: look at jobs."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.output import LABEL_STYLE, LABEL_TEXT, new_app, print_json, print_table, say

if TYPE_CHECKING:
    from shared.contracts.wire import Job, JobImage

app = new_app("Look at jobs.")


@app.callback()
def _group() -> None:
    """Look at jobs."""


@app.command()
def get(
    job_id: Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for it to finish.")] = 0,
) -> None:
    """Print a job and the verdicts of its photos.

    Exit code: 0 when every photo has a verdict, 1 when one failed or is still on its way.
    """
    from shared.client.config import load_client_config
    from shared.client.errors import JobNotFinished
    from shared.client.http import DetectorClient

    with DetectorClient(load_client_config()) as client:
        try:
            job = client.jobs.wait(job_id, wait) if wait else client.jobs.get(job_id)
        except JobNotFinished as error:
            job = error.job
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        _print_job(job)
    if job.status != "succeeded":
        raise typer.Exit(1)


def _print_job(job: "Job") -> None:
    print_table(
        ["photo", "status", "verdict", "P(AI)", "model", "error"],
        map(_row, job.images),
        right=["P(AI)"],
    )
    listing = f", listing {job.listing_id}" if job.listing_id else ""
    say(f"job {job.id}: {job.status.value}{listing}, created {job.created_at:%Y-%m-%d %H:%M:%S %Z}")
    if job.verdict:
        say(f"all together: {LABEL_TEXT[job.verdict.label.value]} ({job.verdict.reason})")


def _row(image: "JobImage") -> list[tuple[str, str]]:
    verdict, error = image.verdict, image.error
    label = verdict.label.value if verdict else ""
    return [
        (image.filename, ""),
        (image.status.value, "dim"),
        (LABEL_TEXT.get(label, "–"), LABEL_STYLE.get(label, "dim")),
        (f"{verdict.probability:.3f}" if verdict else "", ""),
        (verdict.model_version if verdict else "", "dim"),
        (f"{error.code.value}: {error.detail}" if error else "", "red"),
    ]
