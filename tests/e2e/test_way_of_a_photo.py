"""The complete way of a photo: gateway → S3 → queue → worker → PostgreSQL → answer."""

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.worker.engines.select import load_engine
from services.worker.settings import WorkerSettings
from shared.contracts.scopes import Scope
from shared.db.engine import make_engine
from shared.db.tenants.bootstrap import ensure_local_key
from shared.db.tenants.keys import create_key, get_or_create_tenant
from shared.ml.package import load_package
from shared.ml.precision import TOLERANCES
from shared.ml.preprocess import preprocess
from shared.storage.port import sha256_hex
from tests.support.api import Api
from tests.support.photos import jpeg, samples, truncated_jpeg


@pytest.fixture
def database(stack):
    engine = make_engine(stack.servers.database_url, pool_size=2)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_every_sample_photo_gets_a_verdict_of_the_shipped_model(stack, database):
    photos = samples()
    body = stack.api.accepted(photos)
    done = stack.api.finished(body["id"])
    assert done["status"] == "succeeded"
    package = load_package(stack.servers.settings().model_dir)
    assert [image["filename"] for image in done["images"]] == [name for name, _ in photos]
    for image in done["images"]:
        verdict = image["verdict"]
        assert verdict["model_version"] == package.manifest.version
        assert verdict["label"] in {"real", "ai_generated", "uncertain"}
        assert 0 <= verdict["probability"] <= 1
    rows = database.execute(
        text("""
        SELECT i.object_key, i.size, i.sha256, v.probability, v.embedding FROM images i
        JOIN verdicts v ON v.image_id = i.id WHERE i.job_id = :id ORDER BY i.position
        """),
        {"id": body["id"]},
    ).all()
    # Nothing is asked of the database any more: its session must not stay open meanwhile.
    database.rollback()
    store = stack.servers.store()
    for (_, data), row, image in zip(photos, rows, done["images"], strict=True):
        assert store.get(row.object_key, row.size, row.sha256) == data
        assert row.sha256 == sha256_hex(data) == image["sha256"]
        assert image["verdict"]["probability"] == pytest.approx(row.probability)
    assert package.manifest.embedding is not None
    arrays = [preprocess(data, package.manifest.preprocess) for _, data in photos]
    engine = load_engine(package, WorkerSettings.model_construct(worker_inference_threads=1))
    own = np.concatenate(
        [
            engine.predict(np.stack(arrays[start : start + engine.batch_size])).embeddings
            for start in range(0, len(arrays), engine.batch_size)
        ]
    )
    stored = np.array([row.embedding for row in rows], np.float32)
    assert stored.shape == (len(photos), package.manifest.embedding.dim)
    # Components have variance 1; a batch of another size rounds differently.
    assert stored == pytest.approx(own, abs=TOLERANCES["f32"].embedding)


def test_the_listing_verdict_names_the_photo_that_decided(stack):
    done = stack.api.finished(stack.api.accepted(samples()[:4])["id"])
    by_id = {image["id"]: image["verdict"] for image in done["images"]}
    decided = done["verdict"]
    assert by_id[decided["image_id"]]["label"] == decided["label"]
    labels = {verdict["label"] for verdict in by_id.values()}
    gravest = next(label for label in ("ai_generated", "uncertain", "real") if label in labels)
    assert decided["label"] == gravest


def test_one_bad_photo_among_63_good_ones_fails_alone(stack):
    photos = [(f"{number}.jpg", jpeg(number)) for number in range(63)]
    photos.insert(31, ("cut.jpg", truncated_jpeg(99)))
    done = stack.api.finished(stack.api.accepted(photos)["id"])
    assert done["status"] == "partial"
    failed = [image for image in done["images"] if image["status"] != "succeeded"]
    assert [image["filename"] for image in failed] == ["cut.jpg"]
    assert failed[0]["error"]["code"] == "truncated_image"
    assert failed[0]["verdict"] is None
    assert all(image["verdict"] for image in done["images"] if image["filename"] != "cut.jpg")


def test_a_refused_file_beside_a_good_one_fails_alone(stack):
    done = stack.api.finished(
        stack.api.accepted([("notes.txt", b"not a photo"), ("mug.jpg", jpeg(1))])["id"]
    )
    assert [image["status"] for image in done["images"]] == ["failed", "succeeded"]
    assert done["images"][0]["error"]["code"] == "unsupported_type"


def test_predict_answers_the_same_verdict_as_a_job(stack):
    name, data = samples()[0]
    response = stack.api.client.post("/predict", files={"file": (name, data, "image/jpeg")})
    assert response.status_code == 200, response.text
    body = response.json()
    job = stack.api.finished(stack.api.accepted([(name, data)])["id"])
    verdict = job["images"][0]["verdict"]
    assert body["prediction"] == verdict["label"]
    assert body["probability"] == pytest.approx(verdict["probability"], abs=1e-6)
    assert body["model_version"] == verdict["model_version"]


def test_predict_says_what_is_wrong_with_a_truncated_photo(stack):
    response = stack.api.client.post("/predict", files={"file": ("cut.jpg", truncated_jpeg())})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert "truncated" in response.text


def test_another_tenants_job_is_404_and_does_not_show_that_it_exists(stack, database):
    body = stack.api.accepted([("mug.jpg", jpeg(5))])
    tenant = get_or_create_tenant(database, "other marketplace")
    key = create_key(database, tenant, "theirs", [Scope.JOBS_READ])
    database.commit()
    stranger = Api(stack.url, key)
    theirs = stranger.client.get(f"/jobs/{body['id']}")
    unknown = stranger.client.get("/jobs/01890000-0000-7000-8000-000000000000")
    assert theirs.status_code == unknown.status_code == 404
    assert theirs.json()["title"] == unknown.json()["title"]
    stranger.close()


def test_the_long_poll_answers_when_the_verdict_is_there_not_at_its_end(stack):
    body = stack.api.accepted([("mug.jpg", jpeg(7))])
    response = stack.api.client.get(f"/jobs/{body['id']}", params={"wait": 30})
    assert response.json()["status"] == "succeeded"
    assert response.elapsed.total_seconds() < 10


def test_the_local_key_stays_the_same_over_restarts(stack):
    assert ensure_local_key(stack.servers.database_url, stack.key) == stack.key


def test_one_canonical_line_for_a_request_and_one_for_its_chunk_share_the_request_id(stack):
    photo = [("images", ("mug.jpg", jpeg(11), "image/jpeg"))]
    headers = {"X-Request-ID": "trace-me-0123456789"}
    response = stack.api.client.post("/jobs", files=photo, headers=headers)
    assert response.headers["x-request-id"] == "trace-me-0123456789"
    stack.api.finished(response.json()["id"])
    outputs = {service.module: service.output() for service in stack.services}
    for module, event in (
        ("services.gateway", "request.finished"),
        ("services.worker", "chunk.finished"),
    ):
        lines = [
            line
            for line in outputs[module].splitlines()
            if event in line and "trace-me-0123456789" in line
        ]
        assert len(lines) == 1, outputs[module][-2000:]
        assert response.json()["id"] in lines[0]
