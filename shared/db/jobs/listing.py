"""A tenant's jobs, page by page, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, literal_column, select
from sqlalchemy.orm import Session

from shared.contracts.states import JobKind, JobStatus
from shared.db.jobs.rows import JobView, load_views
from shared.db.models import Job
from shared.db.paging import Place, behind, cut

# A literal, not a parameter: only so can the planner see that the partial index fits.
_LISTED = Job.kind == literal_column(f"'{JobKind.JOB.value}'")


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; every condition that is set must hold."""

    # Any of these; none for all.
    statuses: Sequence[JobStatus] = ()
    listing_id: str | None = None
    category: str | None = None
    # From this instant on, and up to but without that one: windows tile without overlap.
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and where the next page begins; None at the end."""

    jobs: Sequence[JobView]
    next: Place | None


def list_jobs(
    session: Session, tenant_id: UUID, wanted: JobFilter, limit: int, after: Place | None = None
) -> Page:
    """Return up to `limit` jobs that the tenant submitted, newest first, behind `after`.

    Pages are stable: a job made meanwhile appears before the first page and shifts no other.
    Predictions and the jobs of catalogs are not listed.
    """
    query = _filtered(tenant_id, wanted)
    if after is not None:
        # The order of ix_jobs_listed.
        query = query.where(behind(after, Job.created_at, Job.id))
    query = query.order_by(Job.created_at.desc(), Job.id).limit(limit + 1)
    jobs, last = cut(session.execute(query).scalars().all(), limit)
    return Page(load_views(session, jobs), last)


def _filtered(tenant_id: UUID, wanted: JobFilter) -> Select[Job]:
    query = select(Job).where(Job.tenant_id == tenant_id, _LISTED)
    if wanted.statuses:
        query = query.where(Job.status.in_([status.value for status in wanted.statuses]))
    if wanted.listing_id is not None:
        query = query.where(Job.listing_id == wanted.listing_id)
    if wanted.category is not None:
        query = query.where(Job.category == wanted.category)
    if wanted.created_after is not None:
        query = query.where(Job.created_at >= wanted.created_after)
    if wanted.created_before is not None:
        query = query.where(Job.created_at < wanted.created_before)
    return query
