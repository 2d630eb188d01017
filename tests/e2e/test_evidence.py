"""A photo's origin, heatmap and evidence bundle, through the whole system as processes."""

import io
import json
import subprocess
import sys
import zipfile

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from shared.db.engine import make_engine
from shared.keys.secret_keys import new_secret_key
from shared.storage.s3 import S3ObjectStore
from tests.support.photos import samples
from tests.support.servers import drop, provide
from tests.support.signing import Authority, manifest, says_generated
from tests.support.system import System

AUTHORITY = Authority()


@pytest.fixture(scope="module")
def anchors(tmp_path_factory):
    path = tmp_path_factory.mktemp("anchors") / "anchors.pem"
    path.write_text(AUTHORITY.pem)
    return path


@pytest.fixture(scope="module")
def system(server_stack, tmp_path_factory, anchors):
    own = provide(server_stack)
    extra = {
        "DETECTOR_WORKER_PROVENANCE_TRUST_ANCHORS": str(anchors),
        # The first signs; the other one did before.
        "DETECTOR_GATEWAY_EVIDENCE_KEYS": f"{new_secret_key()},{new_secret_key()}",
    }
    system = System(own, tmp_path_factory.mktemp("system"), extra)
    try:
        system.gateway()
        system.worker()
        yield system
    finally:
        system.close()
        drop(own)


@pytest.fixture(scope="module")
def photos():
    """A sample, the same with a plain statement, and signed by a trusted signer."""
    name, data = next((name, data) for name, data in samples() if name.endswith(".jpg"))
    return [
        (name, data),
        ("stated.jpg", says_generated(data)),
        ("signed.jpg", AUTHORITY.sign(data, manifest("trainedAlgorithmicMedia"))),
    ]


@pytest.fixture(scope="module")
def job(system, photos):
    return system.api.finished(system.api.accepted(photos)["id"])


def get(system, path, **params):
    response = system.api.client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response


def verify(path, *arguments):
    command = [sys.executable, "-m", "services.cli.main", "evidence", "verify", str(path)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def rewritten(bundle, path, change):
    """Write the bundle with another evidence.json."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "evidence.json":
                description = json.loads(data)
                change(description)
                data = json.dumps(description).encode()
            target.writestr(name, data)
    return path


def test_metadata_stands_beside_the_pixels(job):
    plain, stated, signed = (image["verdict"] for image in job["images"])

    assert not [entry for entry in plain["evidence"] if "says" in entry]
    assert (stated["label"], stated["probability"]) == ("ai_generated", 1.0)
    assert (plain["basis"], stated["basis"], signed["basis"]) == ("pixels", *["statement"] * 2)
    assert stated["pixels_probability"] == pytest.approx(plain["probability"], abs=1e-3)
    (entry,) = [entry for entry in stated["evidence"] if "says" in entry]
    assert (entry["kind"], entry["strength"]) == ("digital_source_type", "declared")

    assert (signed["label"], signed["probability"]) == ("ai_generated", 1.0)
    by_kind = {entry["kind"]: entry for entry in signed["evidence"]}
    assert by_kind["c2pa"]["found"]["signer"]["trust"] == "trusted"
    pixels = by_kind["conclusion"]["pixels"]
    assert pixels["probability"] == pytest.approx(plain["probability"], abs=1e-3)
    assert job["verdict"]["image_id"] == job["images"][1]["id"]
    assert job["verdict"]["basis"] == "statement"


def test_a_heatmap_is_made_once_and_kept(system, job):
    url = f"/images/{job['images'][0]['id']}/heatmap"

    first = get(system, url, wait=30)
    assert first.headers["content-type"] == "image/png"
    assert first.headers["model-version"] == job["images"][0]["verdict"]["model_version"]
    assert Image.open(io.BytesIO(first.content)).format == "PNG"

    again = get(system, url, wait=0)
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]


def test_a_heatmap_whose_bytes_are_gone_is_made_again(system, job):
    image = job["images"][0]
    first = get(system, f"/images/{image['id']}/heatmap", wait=30)
    engine = make_engine(system.servers.database_url, pool_size=1)
    with engine.connect() as connection:
        key = connection.execute(
            text("SELECT object_key FROM heatmaps WHERE image_id = :id"), {"id": image["id"]}
        ).scalar_one()
    engine.dispose()
    S3ObjectStore.from_settings(system.servers.settings()).delete(key)

    assert get(system, f"/images/{image['id']}/heatmap", wait=30).content == first.content


def test_without_a_worker_a_heatmap_is_pending_and_then_comes(system, photos):
    job = system.api.finished(system.api.accepted(photos[:1])["id"])
    worker = system.services[1]
    worker.stop()
    url = f"/images/{job['images'][0]['id']}/heatmap"

    response = system.api.client.get(url, params={"wait": 0.2})
    assert response.status_code == 202
    assert response.json()["status"] == "queued"
    assert int(response.headers["retry-after"]) > 0

    since = len(worker.output())
    worker.start()
    worker.wait_for_line("worker.ready", since=since)
    assert get(system, url, wait=30).content.startswith(b"\x89PNG")


def test_another_model_than_the_one_that_judged_draws_nothing(system, job):
    image = job["images"][1]
    engine = make_engine(system.servers.database_url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE verdicts SET model_version = '0.0.9' WHERE image_id = :id"),
            {"id": image["id"]},
        )
    engine.dispose()

    response = system.api.client.get(f"/images/{image['id']}/heatmap", params={"wait": 30})

    assert response.status_code == 409
    assert response.json()["type"] == "/problems/no-heatmap"
    assert "0.0.9" in response.json()["detail"]


@pytest.fixture(scope="module")
def bundle(system, job):
    return get(system, f"/images/{job['images'][2]['id']}/evidence", wait=30)


def test_a_bundle_holds_photo_heatmap_and_facts(job, photos, bundle):
    image = job["images"][2]
    assert image["id"] in bundle.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("photo.jpg") == photos[2][1]
        assert archive.read("heatmap.png").startswith(b"\x89PNG")
        description = json.loads(archive.read("evidence.json"))
    assert description["image"]["sha256"] == image["sha256"]
    assert description["image"]["verdict"]["evidence"] == image["verdict"]["evidence"]


def test_a_bundle_can_be_computed_again_and_is_signed_by_a_published_key(
    system, tmp_path, bundle, anchors
):
    path = tmp_path / "evidence.zip"
    path.write_bytes(bundle.content)
    # Nobody needs an API key to learn who signs.
    published = httpx.get(f"{system.url}/evidence/keys")
    assert [key["current"] for key in published.json()["data"]] == [True, False]
    keys = tmp_path / "keys.json"
    keys.write_bytes(published.content)

    done = verify(path, "--trust-anchors", str(anchors), "--public-key", str(keys), "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    checks = {check["name"]: check for check in map(json.loads, done.stdout.splitlines())}
    assert checks["label"]["now"] == "ai_generated"
    assert published.json()["data"][0]["key_id"] in checks["signature"]["stored"]
    assert checks["signature"]["now"] == "intact, by a key that was given"
    assert all(check["holds"] for check in checks.values())


def test_a_verdict_that_was_altered_is_found_out(tmp_path, bundle, anchors):
    def lie(description):
        description["image"]["verdict"]["label"] = "real"

    path = rewritten(bundle.content, tmp_path / "lie.zip", lie)
    done = verify(path, "--trust-anchors", str(anchors))

    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT  label: stored real, now ai_generated" in done.stdout
    assert "NOT  signature: " in done.stdout


def test_what_cannot_be_repeated_says_why(tmp_path, bundle):
    def other_model(description):
        description["image"]["verdict"]["model_version"] = "0.0.9"

    def other_photo(description):
        description["image"]["sha256"] = "0" * 64

    for change, message in ((other_model, "--model"), (other_photo, "not the one that was judged")):
        done = verify(rewritten(bundle.content, tmp_path / "changed.zip", change))
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    (tmp_path / "none.zip").write_bytes(b"no bundle")
    assert verify(tmp_path / "none.zip").returncode == 2
    done = verify(tmp_path / "changed.zip", "--public-key", str(tmp_path / "none.zip"))
    assert done.returncode == 2


def test_a_photo_whose_bytes_are_gone_has_no_bundle(system, job):
    image = job["images"][1]
    engine = make_engine(system.servers.database_url, pool_size=1)
    with engine.connect() as connection:
        key = connection.execute(
            text("SELECT object_key FROM images WHERE id = :id"), {"id": image["id"]}
        ).scalar_one()
    engine.dispose()
    S3ObjectStore.from_settings(system.servers.settings()).delete(key)

    response = system.api.client.get(f"/images/{image['id']}/evidence", params={"wait": 0})

    assert response.status_code == 410
    assert response.json()["type"] == "/problems/evidence-gone"
