"""Which verdict stands for the same bytes, and which does not."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shared.contracts.states import Label
from shared.core.ids import new_id
from shared.db.jobs import leases
from shared.db.jobs import rows as jobs
from shared.db.jobs.results import Judged, settle
from shared.db.jobs.reuse import ReuseKey, find_standing
from shared.db.tenants import keys

SETTINGS = {"thresholds": {"ai_above": 0.97, "real_below": 0.1}, "package_sha256": None}
KEY = ReuseKey("m1", SETTINGS)
# Exact in single precision, as the column is.
EMBEDDING = (0.5, -1.25, *[0.0] * 14)


@pytest.fixture
def tenant(sessions) -> UUID:
    with sessions.begin() as session:
        return keys.get_or_create_tenant(session, "acme")


def submit(sessions, tenant: UUID, sha256: str = "a" * 64) -> UUID:
    image = jobs.NewImage("a.jpg", 10, sha256, f"tenants/x/{sha256}", "image/jpeg", 8, 8)
    with sessions.begin() as session:
        job_id = jobs.insert_job(session, jobs.NewJob(tenant, "req-1", [image]))
        return jobs.get_job(session, tenant, job_id).images[0][0].id


def judge(
    sessions,
    image_id: UUID,
    key: ReuseKey = KEY,
    reused_from: UUID | None = None,
    findings: tuple[dict[str, Any], ...] = (),
) -> None:
    with sessions.begin() as session:
        lease = leases.acquire(session, [image_id], 30)
        evidence = [{"kind": "reencode", "flipped": False}, *findings]
        outcome = Judged(
            image_id, key.model_version, Label.REAL, 0.1, 0.9, -2.125, evidence,
            key.judged_with, reused_from, EMBEDDING, 85,
        )  # fmt: skip
        assert settle(session, lease.id, [outcome])[0] == [image_id]


def standing(sessions, *image_ids: UUID, key: ReuseKey = KEY) -> list[Judged]:
    with sessions() as session:
        return find_standing(session, image_ids, key)


def test_the_same_bytes_under_the_same_key_have_the_whole_verdict(sessions, tenant):
    first = submit(sessions, tenant)
    judge(sessions, first)
    second, other = submit(sessions, tenant), submit(sessions, tenant, "b" * 64)
    assert standing(sessions, second, other) == [
        Judged(
            second, "m1", Label.REAL, 0.1, 0.9, -2.125,
            [{"kind": "reencode", "flipped": False}], SETTINGS, first, EMBEDDING, 85,
        )
    ]  # fmt: skip


@pytest.mark.parametrize("cpu", [{}, {"cpu": {"model": "A", "flags": ["avx2"]}}])
def test_another_processor_repeats_the_verdict_and_what_it_was_judged_with(sessions, tenant, cpu):
    first = ReuseKey("m1", SETTINGS | cpu)
    judge(sessions, submit(sessions, tenant), first)
    second = ReuseKey("m1", SETTINGS | {"cpu": {"model": "B", "flags": ["avx2", "avx512f"]}})
    (found,) = standing(sessions, submit(sessions, tenant), key=second)
    assert found.judged_with == first.judged_with


def test_a_repetition_of_a_repetition_names_the_photo_that_was_judged(sessions, tenant):
    first = submit(sessions, tenant)
    judge(sessions, first)
    second = submit(sessions, tenant)
    judge(sessions, second, reused_from=first)
    assert [v.reused_from for v in standing(sessions, submit(sessions, tenant))] == [first]


@pytest.mark.parametrize(
    "key",
    [
        ReuseKey("m2", SETTINGS),
        ReuseKey("m1", {**SETTINGS, "package_sha256": "c" * 64}),
        ReuseKey("m1", {**SETTINGS, "thresholds": {"ai_above": 0.96, "real_below": 0.1}}),
        ReuseKey("m1", {**SETTINGS, "precision": "bf16"}),
        ReuseKey("m1", {}),
    ],
    ids=["version", "package", "thresholds", "precision", "unknown"],
)
def test_another_model_or_setting_judges_again(sessions, tenant, key):
    judge(sessions, submit(sessions, tenant))
    assert standing(sessions, submit(sessions, tenant), key=key) == []


def test_metadata_that_could_not_be_read_is_read_again_and_what_was_read_is_reused(
    sessions, tenant
):
    unread = {"kind": "c2pa", "says": "nothing", "strength": "unread", "detail": "too long"}
    first = submit(sessions, tenant)
    judge(sessions, first, findings=(unread,))
    second = submit(sessions, tenant)
    assert standing(sessions, second) == []
    judge(sessions, second, findings=({**unread, "says": "camera", "strength": "signed"},))
    assert [v.reused_from for v in standing(sessions, submit(sessions, tenant))] == [second]


def test_another_tenants_verdict_is_not_used(sessions, tenant):
    judge(sessions, submit(sessions, tenant))
    with sessions.begin() as session:
        stranger = keys.get_or_create_tenant(session, "stranger")
    assert standing(sessions, submit(sessions, stranger)) == []


def test_a_photo_still_waiting_has_nothing_to_give(sessions, tenant):
    submit(sessions, tenant)
    assert standing(sessions, submit(sessions, tenant)) == []


def test_after_a_model_swap_the_newest_photo_of_many_is_found(sessions, tenant):
    old, new = ReuseKey("m0", SETTINGS), KEY
    for _ in range(6):
        judge(sessions, submit(sessions, tenant), old)
    last = submit(sessions, tenant)
    judge(sessions, last, new)
    assert [v.reused_from for v in standing(sessions, submit(sessions, tenant))] == [last]


def test_the_search_reads_the_index(sessions):
    with sessions() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        rows = session.execute(
            text("""
            EXPLAIN SELECT id FROM images WHERE tenant_id = :tenant AND sha256 = 'x'
            AND status = 'succeeded' ORDER BY id DESC LIMIT 4
            """),
            {"tenant": new_id()},
        )
        plan = "\n".join(rows.scalars())
    assert "ix_images_judged_bytes" in plan
    assert "Sort" not in plan
