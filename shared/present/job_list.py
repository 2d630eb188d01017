"""A page of jobs as `GET /jobs` shows it."""

from collections import Counter

from shared.contracts.wire.job_requests import ImageCounts, JobSummary
from shared.db.jobs.rows import JobView
from shared.present.jobs import job_body


def job_summary(view: JobView) -> JobSummary:
    """Return `view` without its photos, which are counted by status."""
    job = job_body(view)
    counts = Counter(image.status.value for image in job.images)
    return JobSummary(
        **job.model_dump(exclude={"images", "verdict", "links"}),
        image_counts=ImageCounts(total=len(job.images), **counts),
        verdict=job.verdict,
        links=job.links,
    )
