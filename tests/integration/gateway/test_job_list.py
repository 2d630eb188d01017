"""Pages of jobs: filters, stable cursors, and what is never listed."""

from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from shared.contracts.errors import ImageErrorCode
from shared.contracts.scopes import Scope
from tests.integration.gateway.helpers import image_files, judge, slug
from tests.support.photos import jpeg


@pytest.fixture
def shop(gateway, request):
    """A client of a tenant that has no job but this test's."""
    key = gateway.new_key(request.node.name, [Scope.JOBS_READ, Scope.JOBS_WRITE])
    with gateway.client(key) as client:
        yield client


def submit(client: httpx.Client, **fields: str) -> str:
    response = client.post("/jobs", files=image_files(("a.jpg", jpeg(1))), data=fields)
    assert response.status_code == 202, response.text
    return response.json()["id"]


def listed(client: httpx.Client, **params) -> list[str]:
    response = client.get("/jobs", params=params)
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()["data"]]


def pages(client: httpx.Client, path: str) -> list[list[str]]:
    """Follow `links.next` to the end."""
    found = []
    while path:
        body = client.get(path).json()
        found.append([job["id"] for job in body["data"]])
        path = body["links"]["next"]
    return found


def test_a_tenant_without_jobs_has_an_empty_page(shop):
    assert shop.get("/jobs").json() == {
        "data": [],
        "next_cursor": None,
        "links": {"self": "/jobs", "next": None},
    }


def test_pages_lead_from_the_newest_to_the_oldest(shop):
    ids = [submit(shop) for _ in range(5)]
    ids.reverse()
    assert pages(shop, "/jobs?limit=2") == [ids[:2], ids[2:4], ids[4:]]
    assert pages(shop, "/jobs?limit=5") == [ids]


def test_jobs_made_meanwhile_shift_no_page(shop):
    ids = [submit(shop) for _ in range(4)][::-1]
    first = shop.get("/jobs", params={"limit": 2}).json()
    submit(shop)
    second = shop.get(first["links"]["next"]).json()
    assert [job["id"] for job in second["data"]] == ids[2:]
    assert shop.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json() == {
        **second,
        "links": {**second["links"], "self": second["links"]["self"]},
    }


def test_jobs_of_the_same_instant_are_each_listed_once(gateway, shop):
    ids = {submit(shop) for _ in range(7)}
    with gateway.sessions.begin() as session:
        session.execute(
            text("UPDATE jobs SET created_at = '2026-01-01T00:00:00Z' WHERE id = ANY(:ids)"),
            {"ids": [UUID(job_id) for job_id in ids]},
        )
    found = [job_id for page in pages(shop, "/jobs?limit=2") for job_id in page]
    assert len(found) == 7
    assert set(found) == ids


def test_filters_narrow_and_stay_on_every_page(gateway, shop):
    mugs = [submit(shop, listing_id="L&1", category="mugs") for _ in range(3)][::-1]
    other = submit(shop, listing_id="L2", category="mugs")
    judge(gateway.sessions, mugs[0])
    judge(gateway.sessions, other, failed=ImageErrorCode.TRUNCATED_IMAGE)
    assert listed(shop, listing_id="L&1") == mugs
    assert listed(shop, category="mugs") == [other, *mugs]
    assert listed(shop, category="hats") == []
    assert listed(shop, status="succeeded") == [mugs[0]]
    assert listed(shop, status=["failed", "succeeded"]) == [other, mugs[0]]
    assert listed(shop, status="queued", listing_id="L2") == []
    assert pages(shop, "/jobs?limit=1&listing_id=L%261&status=queued") == [[mugs[1]], [mugs[2]]]


def test_windows_of_time_tile_without_overlap(shop):
    ids = [submit(shop) for _ in range(3)]
    middle = shop.get(f"/jobs/{ids[1]}").json()["created_at"]
    assert listed(shop, created_after=middle) == [ids[2], ids[1]]
    assert listed(shop, created_before=middle) == [ids[0]]
    later = datetime.fromisoformat(middle) + timedelta(microseconds=1)
    assert listed(shop, created_after=middle, created_before=later.isoformat()) == [ids[1]]


def test_a_listed_job_has_counts_and_the_listing_verdict(gateway, shop):
    files = image_files(("a.jpg", jpeg(1)), ("b.txt", b"no photo"))
    job = shop.post("/jobs", files=files, data={"metadata": '{"a": 1}'}).json()
    judge(gateway.sessions, job["id"], 0.93)
    whole = shop.get(f"/jobs/{job['id']}").json()
    summary = shop.get("/jobs").json()["data"][0]
    counts = summary.pop("image_counts")
    assert counts == {
        "total": 2, "queued": 0, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 0
    }  # fmt: skip
    whole.pop("images")
    assert summary == whole
    assert summary["verdict"]["label"] == "ai_generated"


def test_predictions_and_other_tenants_jobs_are_not_listed(start_gateway):
    with start_gateway(gateway_predict_seconds=0.2) as own:
        keys = [own.new_key(f"unlisted {n}", [Scope.JOBS_READ, Scope.JOBS_WRITE]) for n in (1, 2)]
        with own.client(keys[0]) as mine, own.client(keys[1]) as theirs:
            answer = mine.post("/predict", files=image_files(("a.jpg", jpeg(2)), field="file"))
            assert answer.status_code == 504
            assert mine.get(answer.json()["job"]).status_code == 200
            submit(theirs)
            assert listed(mine) == []


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"cursor": "not-one"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"status": "done"}, "status.0"),
        ({"listing_id": "a\x00b"}, "listing_id"),
        ({"category": "x" * 201}, "category"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_before": "2026-01-01T00:00:00"}, "created_before"),
    ],
)
def test_wrong_parameters(client, params, field):
    response = client.get("/jobs", params=params)
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_a_page_is_read_from_the_index(gateway, shop):
    submit(shop)
    with gateway.sessions() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(
            session.execute(
                text("""
                EXPLAIN SELECT * FROM jobs
                WHERE tenant_id = '0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10' AND kind = 'job'
                AND created_at <= now() ORDER BY created_at DESC, id LIMIT 21
                """)
            ).scalars()
        )
    assert "ix_jobs_listed" in plan
    assert "Sort" not in plan
