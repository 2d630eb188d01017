"""Settling a chunk: what one photo brings with it never holds up its batch-mates (G4)."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from services.worker.chunk import ChunkProcessor
from services.worker.leases import LeaseKeeper
from shared.contracts.errors import ImageErrorCode
from shared.contracts.states import Label
from shared.db.jobs import rows as jobs
from shared.db.jobs.results import Failed, Judged
from shared.db.jobs.reuse import ReuseKey
from shared.db.models import Image, Verdict
from shared.db.tenants import keys

EVIDENCE = {"kind": "c2pa", "found": {"failures": ["claim\x00 of \ud800"]}, "detail": "a\x00b"}


@pytest.fixture
def images(sessions):
    with sessions.begin() as session:
        tenant = keys.get_or_create_tenant(session, "acme")
        new = [
            jobs.NewImage(f"{n}\x00.jpg", 10, f"{n:064x}", f"tenants/x/{n}", "image/jpeg", 8, 8)
            for n in range(4)
        ]
        job_id = jobs.insert_job(session, jobs.NewJob(tenant, "req-1", new))
        return [image.id for image, _ in jobs.get_job(session, tenant, job_id).images]


class Judge:
    """Gives the outcomes that a test wants."""

    basis = ReuseKey("m1", {})

    def __init__(self, *outcomes):
        self._outcomes = outcomes

    def run(self, images):
        by_id = {outcome.image_id: outcome for outcome in self._outcomes}
        return [by_id[image.id] for image in images]


@pytest.fixture
def process(sessions):
    keeper = LeaseKeeper(sessions, 30)

    def run(*outcomes):
        processor = ChunkProcessor(sessions, Judge(*outcomes), keeper, 30, reuse=False)
        return processor.process([outcome.image_id for outcome in outcomes])

    yield run
    keeper.close()


def judged(image_id) -> Judged:
    return Judged(image_id, "m1", Label.REAL, 0.1, 0.9, -2.0)


def test_a_nul_in_what_a_file_says_is_stored_as_a_replacement(images, process, sessions):
    first, second, *_ = images
    process(
        replace(judged(first), evidence=[EVIDENCE]),
        Failed(second, ImageErrorCode.UNREADABLE_IMAGE, "bad\x00 chunk \udcff"),
    )
    with sessions() as session:
        (evidence,) = session.execute(select(Verdict.evidence)).scalar_one()
        assert evidence["found"] == {"failures": ["claim\ufffd of \ufffd"]}
        assert session.get_one(Image, second).error_detail == "bad\ufffd chunk \ufffd"


def test_a_value_that_the_database_refuses_fails_its_own_photo_only(images, process, sessions):
    bad = replace(judged(images[1]), probability=2.0)  # no probability
    report = process(judged(images[0]), bad, judged(images[2]), judged(images[3]))
    assert report.outcomes == {"real": 3, "failed": 1}
    with sessions() as session:
        assert [session.get_one(Image, each).status for each in images] == [
            "succeeded",
            "failed",
            "succeeded",
            "succeeded",
        ]
        assert session.get_one(Image, images[1]).error_code == "inference_failed"
