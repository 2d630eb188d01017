"""`/images/{id}` and reviews, over real servers."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.contracts.errors import ImageErrorCode
from shared.contracts.scopes import Scope
from shared.contracts.states import Label
from tests.integration.gateway.helpers import count, image_files, judge, slug
from tests.support.photos import jpeg

REVIEW = {"label": "real", "reason": "The seller sent the original.", "reviewer": "anna"}


def submit(client, *seeds):
    files = image_files(*((f"photo{seed}.jpg", jpeg(seed)) for seed in seeds))
    response = client.post("/jobs", files=files, data={"listing_id": "L-1"})
    assert response.status_code == 202, response.text
    return response.json()


@pytest.fixture
def judged(gateway, client):
    """A finished job of two photos that the model calls AI-generated."""
    job = submit(client, 1, 2)
    judge(gateway.sessions, job["id"], 0.9)
    return client.get(job["links"]["self"]).json()


def review(client, image, **changes):
    response = client.post(f"/images/{image['id']}/feedback", json={**REVIEW, **changes})
    assert response.status_code == 201, response.text
    return response.json()


def events(gateway):
    with gateway.sessions() as session:
        rows = session.execute(
            text("SELECT subject FROM webhook_events WHERE type = 'verdict.changed' ORDER BY id")
        )
        return list(rows.scalars())


def test_a_photo_with_its_verdict_and_what_it_was_judged_with(client, judged):
    image = judged["images"][0]

    body = client.get(f"/images/{image['id']}").json()

    assert body["job_id"] == judged["id"]
    assert (body["listing_id"], body["filename"]) == ("L-1", "photo1.jpg")
    assert body["sha256"] == image["sha256"]
    assert body["size"] == len(jpeg(1))
    assert body["content_type"] == "image/jpeg"
    assert (body["label"], body["verdict"]["probability"]) == ("ai_generated", 0.9)
    assert body["verdicts"] == [body["verdict"]]
    assert body["review"] is None
    assert client.get(body["links"]["job"]).json()["id"] == judged["id"]


def test_an_overturned_verdict_shows_everywhere_and_is_told_once(gateway, client, judged):
    first, second = judged["images"]
    before = len(events(gateway))

    stored = review(client, first)
    again = review(client, first, reviewer="bert")

    assert (stored["overturns_verdict"], stored["changed_label"]) == (True, True)
    assert (stored["model_label"], stored["model_version"]) == ("ai_generated", "b0-test.1")
    assert (again["overturns_verdict"], again["changed_label"]) == (True, False)
    (event,) = events(gateway)[before:]
    assert event["image_id"] == first["id"]
    assert event["job_id"] == judged["id"]
    assert (event["previous_label"], event["label"]) == ("ai_generated", "real")
    assert event["review"]["reviewer"] == "anna"

    job = client.get(judged["links"]["self"]).json()
    assert job["images"][0]["label"] == "real"
    assert job["images"][0]["review"]["reviewer"] == "bert"
    assert job["images"][0]["verdict"]["label"] == "ai_generated"
    assert job["images"][1]["review"] is None
    assert job["verdict"]["image_id"] == second["id"]
    assert "1 of 2" in job["verdict"]["reason"]

    review(client, second)
    job = client.get(judged["links"]["self"]).json()
    assert (job["verdict"]["label"], job["verdict"]["probability"]) == ("real", 0.0)
    assert "reviewer" in job["verdict"]["reason"]

    listed = client.get(f"/images/{first['id']}/feedback").json()["data"]
    assert [item["reviewer"] for item in listed] == ["bert", "anna"]
    assert len(client.get(f"/images/{first['id']}/feedback?limit=1").json()["data"]) == 1


def test_a_confirmed_verdict_is_no_change(gateway, client, judged):
    before = len(events(gateway))

    stored = review(client, judged["images"][0], label="ai_generated")

    assert (stored["overturns_verdict"], stored["changed_label"]) == (False, False)
    assert len(events(gateway)) == before


def test_a_review_taken_back_is_a_change_again(gateway, client, judged):
    before = len(events(gateway))
    for label in ("real", "ai_generated", "ai_generated"):
        review(client, judged["images"][0], label=label)

    told = [(e["previous_label"], e["label"]) for e in events(gateway)[before:]]
    assert told == [("ai_generated", "real"), ("real", "ai_generated")]


def test_reviews_at_the_same_time_change_a_verdict_once(gateway, client, judged):
    before = len(events(gateway))
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: review(client, judged["images"][0]), range(8)))

    assert sum(item["changed_label"] for item in stored) == 1
    assert len(events(gateway)) == before + 1


def test_a_photo_that_failed_can_be_reviewed(gateway, client):
    job = submit(client, 3)
    judge(gateway.sessions, job["id"], failed=ImageErrorCode.TRUNCATED_IMAGE)

    stored = review(client, job["images"][0], label="ai_generated")
    body = client.get(job["links"]["self"]).json()

    assert (stored["model_label"], stored["changed_label"]) == (None, False)
    assert body["images"][0]["label"] == "ai_generated"
    assert body["verdict"]["label"] == "ai_generated"


def test_a_photo_without_verdict_cannot_be_reviewed_yet(client):
    job = submit(client, 4)
    response = client.post(f"/images/{job['images'][0]['id']}/feedback", json=REVIEW)

    assert (response.status_code, slug(response)) == (409, "image-unfinished")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "uncertain"}, "label"),
        ({"reason": " "}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"reviewer": None}, "reviewer"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_wrong_review_names_the_field_and_stores_nothing(gateway, client, judged, change, field):
    before = count(gateway.sessions, "feedback")

    response = client.post(
        f"/images/{judged['images'][0]['id']}/feedback", json={**REVIEW, **change}
    )

    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert response.json()["errors"][0]["field"] == field
    assert count(gateway.sessions, "feedback") == before


@pytest.mark.parametrize("path", ["", "/feedback"])
def test_another_tenants_photo_does_not_exist(gateway, judged, path):
    stranger = gateway.new_key("stranger", [Scope.JOBS_READ, Scope.JOBS_WRITE])
    with gateway.client(stranger) as client:
        for image_id in (judged["images"][0]["id"], uuid4()):
            response = client.get(f"/images/{image_id}{path}")
            assert (response.status_code, slug(response)) == (404, "not-found")
        response = client.post(f"/images/{judged['images'][0]['id']}/feedback", json=REVIEW)
        assert response.status_code == 404


def test_a_reader_may_not_review(gateway, judged):
    with gateway.client(gateway.new_key("shop", [Scope.JOBS_READ])) as client:
        url = f"/images/{judged['images'][0]['id']}"
        assert client.get(url).status_code == 200
        assert slug(client.post(f"{url}/feedback", json=REVIEW)) == "missing-scope"


def test_the_label_of_an_uncertain_photo_can_be_settled(gateway, client):
    job = submit(client, 5)
    judge(gateway.sessions, job["id"], 0.5, Label.UNCERTAIN)

    assert review(client, job["images"][0])["changed_label"] is True
