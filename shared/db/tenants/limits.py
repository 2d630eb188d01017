"""Tenants: their limits, and what they have waiting."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, literal_column, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from shared.contracts.states import JobKind
from shared.db.models import Image, Job, Tenant

# A literal, not parameters: only so can the planner see that the partial index fits.
_OPEN: ColumnElement[bool] = literal_column("images.status IN ('queued', 'running')")

LimitName = Literal["requests_per_minute", "max_open_images"]


@dataclass(frozen=True, slots=True)
class TenantInfo:
    """A tenant as listings show it; a limit of None is the gateway's setting, 0 is none."""

    id: UUID
    name: str
    requests_per_minute: int | None
    max_open_images: int | None
    # Photos that wait or run, those of catalogs left out: what the quota counts.
    open_images: int
    created_at: datetime


def count_open_images(session: Session, tenant_id: UUID) -> int:
    """Return how many photos of the tenant wait or run.

    Those of catalogs do not count: the ingest service bounds them itself, and a catalog must not
    keep its tenant from `POST /jobs`.
    """
    return session.execute(_open_images_of(tenant_id)).scalar_one()


def list_tenants(session: Session) -> list[TenantInfo]:
    """Return every tenant, oldest first."""
    rows = session.execute(
        select(
            Tenant.id,
            Tenant.name,
            Tenant.requests_per_minute,
            Tenant.max_open_images,
            _open_images_of(Tenant.id).scalar_subquery(),
            Tenant.created_at,
        ).order_by(Tenant.created_at, Tenant.id)
    )
    return [TenantInfo(*row) for row in rows]


def _open_images_of(tenant_id: UUID | InstrumentedAttribute[UUID]) -> Select[int]:
    return (
        select(func.count())
        .select_from(Image)
        .join(Job, Job.id == Image.job_id)
        .where(Image.tenant_id == tenant_id, _OPEN, Job.kind != JobKind.CATALOG.value)
    )


def set_limits(session: Session, name: str, limits: Mapping[LimitName, int | None]) -> bool:
    """Set the given limits of the tenant called `name`; return False when there is none."""
    changed = session.execute(
        update(Tenant).where(Tenant.name == name).values(dict(limits)).returning(Tenant.id)
    )
    return changed.one_or_none() is not None
