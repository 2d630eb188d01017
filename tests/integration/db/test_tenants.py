"""Tenants' limits, and what counts as waiting."""

from uuid import UUID

import pytest
from sqlalchemy import text

from shared.contracts.catalogs import CatalogFormat
from shared.contracts.states import JobKind
from shared.db.engine import SessionFactory
from shared.db.models import Catalog, Image, Job
from shared.db.tenants import keys
from shared.db.tenants import limits as tenants


@pytest.fixture
def tenant(sessions: SessionFactory) -> UUID:
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


def _job(session, tenant: UUID, images: int, kind: JobKind = JobKind.JOB) -> Job:
    catalog_id = None
    if kind is JobKind.CATALOG:
        catalog = Catalog(
            tenant_id=tenant, format=CatalogFormat.CSV.value, manifest_key="m", request_id="r"
        )
        session.add(catalog)
        session.flush()
        catalog_id = catalog.id
    job = Job(tenant_id=tenant, kind=kind.value, catalog_id=catalog_id, request_id="r")
    session.add(job)
    session.flush()
    session.add_all(
        Image(
            job_id=job.id,
            tenant_id=tenant,
            position=position,
            filename="a.jpg",
            object_key="k",
            size=1,
        )
        for position in range(images)
    )
    session.flush()
    return job


def _settle(session, job: Job, status: str) -> None:
    session.execute(
        text("UPDATE images SET status = :status, finished_at = now() WHERE job_id = :job"),
        {"status": status, "job": job.id},
    )


def test_what_waits_or_runs_counts_and_catalogs_and_other_tenants_do_not(sessions, tenant):
    with sessions.begin() as session:
        rival = keys.get_or_create_tenant(session, "rival")
        _job(session, tenant, 3)
        _job(session, tenant, 1, JobKind.PREDICT)
        _job(session, tenant, 5, JobKind.CATALOG)
        _settle(session, _job(session, tenant, 7), "cancelled")
        _job(session, rival, 11)
        session.execute(
            text(
                "UPDATE images SET status = 'running', lease_id = gen_random_uuid(),"
                " lease_expires_at = now() WHERE position = 0 AND status = 'queued'"
            )
        )
        assert tenants.count_open_images(session, tenant) == 4
        assert {info.name: info.open_images for info in tenants.list_tenants(session)} == {
            "acme": 4,
            "rival": 11,
        }


def test_limits_are_set_one_by_one_and_taken_back(sessions, tenant):
    with sessions.begin() as session:
        assert tenants.set_limits(session, "acme", {"requests_per_minute": 60})
        assert tenants.set_limits(session, "acme", {"max_open_images": 0})
        (info,) = tenants.list_tenants(session)
        assert (info.requests_per_minute, info.max_open_images) == (60, 0)
        assert tenants.set_limits(session, "acme", {"requests_per_minute": None})
        (info,) = tenants.list_tenants(session)
        assert (info.requests_per_minute, info.max_open_images) == (None, 0)
        assert not tenants.set_limits(session, "nobody", {"max_open_images": 1})
