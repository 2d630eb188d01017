"""`detector jobs`: look at jobs and cancel them."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from services.cli.client import AsJson, AsJsonLines, Limit, Since, Until, gateway_client
from services.cli.output import (
    LABEL_STYLE,
    LABEL_TEXT,
    basis_text,
    new_app,
    print_models,
    print_table,
    say,
)
from services.cli.times import parse_moment, shown
from shared.contracts.states import JobStatus

if TYPE_CHECKING:
    from shared.contracts.wire.job_requests import JobSummary
    from shared.contracts.wire.jobs import Job, JobImage

app = new_app("Look at jobs and cancel them.")

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="The job's id.")]


@app.callback()
def _group() -> None:
    """Look at jobs and cancel them."""


@app.command()
def get(
    job_id: JobId,
    as_json: AsJson = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for it to finish.")] = 0,
) -> None:
    """Print a job and the verdicts of its photos.

    Exit code: 0 when every photo has a verdict, 1 when one failed or is still on its way.
    """
    from shared.client.errors import JobNotFinished

    with gateway_client() as client:
        try:
            job = client.jobs.wait(job_id, wait) if wait else client.jobs.get(job_id)
        except JobNotFinished as error:
            job = error.job
    if as_json:
        print_models(job)
    else:
        _print_job(job)
    if job.status != "succeeded":
        raise typer.Exit(1)


@app.command("list")
def list_(
    status: Annotated[
        list[JobStatus] | None, typer.Option(help="One of these; repeat it for several.")
    ] = None,
    listing_id: Annotated[str | None, typer.Option(help="Jobs of this listing.")] = None,
    category: Annotated[str | None, typer.Option(help="Jobs of this category.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: AsJsonLines = False,
) -> None:
    """List the newest jobs that fit. Predictions and the jobs of catalogs are not among them."""
    after, before = parse_moment(since, "--since"), parse_moment(until, "--until")
    with gateway_client() as client:
        found = client.jobs.list(
            status=status or (),
            listing_id=listing_id,
            category=category,
            created_after=after,
            created_before=before,
            page_size=min(limit, 100),
        )
        jobs = list(islice(found, limit))
    if as_json:
        print_models(*jobs)
        return
    print_table(
        ["id", "created", "status", "listing", "category", "photos", "failed", "verdict", "P(AI)"],
        map(_summary_row, jobs),
        right=["photos", "failed", "P(AI)"],
    )


@app.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel the photos that no worker has begun; the others end normally."""
    with gateway_client() as client:
        job = client.jobs.cancel(job_id)
    if as_json:
        print_models(job)
    else:
        _print_job(job)


def _summary_row(job: "JobSummary") -> list[tuple[str, str]]:
    counts, label = job.image_counts, job.verdict.label.value if job.verdict else ""
    return [
        (str(job.id), ""),
        (shown(job.created_at), "dim"),
        (job.status.value, ""),
        (job.listing_id or "", ""),
        (job.category or "", ""),
        (str(counts.total), ""),
        (str(counts.failed) if counts.failed else "", "red"),
        (LABEL_TEXT.get(label, "–"), LABEL_STYLE.get(label, "dim")),
        (f"{job.verdict.probability:.3f}" if job.verdict else "", ""),
    ]


def _print_job(job: "Job") -> None:
    print_table(
        ["photo", "status", "verdict", "P(AI)", "basis", "model", "error"],
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
        (basis_text(verdict.basis, verdict.pixels_probability) if verdict else "", "dim"),
        (verdict.model_version if verdict else "", "dim"),
        (f"{error.code.value}: {error.detail}" if error else "", "red"),
    ]
