"""The commands that speak to the gateway, against the whole running system."""

import csv
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from shared.db.engine import make_engine, make_session_factory
from shared.db.jobs import rows as jobs
from shared.db.tenants import keys
from tests.support.photos import jpeg
from tests.support.receiver import Answer

# The setup starts four services.
pytestmark = pytest.mark.timeout(420)

LABELS = {"real", "ai_generated", "uncertain"}


@pytest.fixture(scope="module")
def database(system):
    engine = make_engine(system.servers.database_url, 2)
    yield make_session_factory(engine)
    engine.dispose()


@pytest.fixture(scope="module")
def judged(system) -> dict:
    """A job with one photo, judged."""
    accepted = system.api.submit([("a.jpg", jpeg(7))], {"listing_id": "L-1", "category": "mugs"})
    return system.api.finished(accepted.json()["id"])


def waiting_job(database) -> str:
    """Return a job of the local tenant that no worker takes."""
    photo = jobs.NewImage("a.jpg", 9, "0" * 64, "nowhere", "image/jpeg", 8, 8)
    with database.begin() as session:
        tenant = keys.get_or_create_tenant(session, "local")
        job_id = jobs.insert_job(session, jobs.NewJob(tenant, "r", [photo] * 2, listing_id="L-2"))
        session.execute(
            text("UPDATE images SET enqueued_at = now() + interval '1 h' WHERE job_id = :id"),
            {"id": job_id},
        )
    return str(job_id)


def test_jobs_are_listed_by_what_they_are(detector, judged, database):
    other = waiting_job(database)
    listed = lambda *options: [
        job["id"] for job in detector("jobs", "list", "--json", *options).lines
    ]
    assert listed()[:2] == [other, judged["id"]]
    assert listed("--limit", 1) == [other]
    assert listed("--listing-id", "L-1") == [judged["id"]]
    assert listed("--category", "mugs", "--status", "succeeded") == [judged["id"]]
    assert listed("--status", "failed", "--status", "partial") == []
    assert listed("--since", "2999-01-01T00:00:00Z") == []
    assert len(listed("--until", "2999-01-01T00:00:00+01:00")) >= 2
    table = detector("jobs", "list").out
    assert judged["id"] in table
    assert "L-2" in table
    naive = detector("jobs", "list", "--since", "2026-01-01T00:00:00")
    assert (naive.code, "zone" in naive.err) == (2, True)


def test_a_waiting_job_is_cancelled_and_a_finished_one_stays(detector, judged, database):
    done = detector("jobs", "cancel", waiting_job(database), "--json")
    assert (done.code, done.one["status"]) == (0, "cancelled")
    assert detector("jobs", "cancel", judged["id"], "--json").one["status"] == "succeeded"
    assert "cancelled" in detector("jobs", "cancel", waiting_job(database)).out
    assert detector("jobs", "cancel", uuid4()).code == 2


def test_a_photo_is_shown_reviewed_and_its_evidence_downloaded(detector, judged, tmp_path):
    image_id = judged["images"][0]["id"]
    image = detector("images", "get", image_id, "--json").one
    assert image["verdict"]["label"] in LABELS
    said = image["verdict"]["label"]
    mine = "real" if said != "real" else "ai_generated"
    review = ("--reason", "seen in the shop", "--reviewer", "ana")
    stored = detector("images", "feedback", image_id, "--label", mine, *review, "--json").one
    assert (stored["label"], stored["overturns_verdict"]) == (mine, True)
    again = detector("images", "feedback", image_id, "--label", mine, *review)
    assert (again.code, again.out) == (0, "")
    assert len(detector("images", "reviews", image_id, "--json").lines) == 2
    assert "seen in the shop" in detector("images", "reviews", image_id).out
    shown = detector("images", "get", image_id)
    assert "reviewed by ana" in shown.err
    assert image["sha256"] in shown.err

    assert detector("images", "heatmap", image_id).out.startswith("\x89PNG")
    file = tmp_path / "evidence.zip"
    assert detector("images", "bundle", image_id, "-o", file).code == 0
    with zipfile.ZipFile(file) as bundle:
        evidence = json.loads(bundle.read("evidence.json"))
    assert evidence["image"]["id"] == image_id
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_is_refused_before_or_by_the_gateway(detector, judged):
    image_id = judged["images"][0]["id"]
    empty = ("--reason", " ", "--reviewer", "ana")
    refused = detector("images", "feedback", image_id, "--label", "real", *empty)
    assert (refused.code, "reason" in refused.err) == (2, True)
    assert detector("images", "get", uuid4()).code == 2
    unwritable = detector("images", "bundle", image_id, "-o", "/nonexistent/evidence.zip")
    assert (unwritable.code, "/nonexistent" in unwritable.err) == (2, True)


def test_a_datasets_photos_are_judged_and_copied_for_a_rehearsal(
    detector, system, database, tmp_path, monkeypatch
):
    rows = ["file,split,label"]
    for number, (split, label) in enumerate(
        [("val", "real")] * 34 + [("val", "ai_generated")] * 6
        + [("test_unseen_generator", "ai_generated")] * 20
    ):  # fmt: skip
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(100 + number))
        rows.append(f"{number}.jpg,{split},{label}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    for name, value in system.servers.environment().items():
        monkeypatch.setenv(name, value)
    # No drift service runs here.
    done = detector("drift", "simulate", "--dataset", tmp_path, "--timeout", 1)
    assert (done.code, "has not checked" in done.err) == (1, True), done.err
    with database() as session:
        found = session.execute(
            text("""
            SELECT v.model_version, count(*), count(DISTINCT i.sha256),
                count(*) FILTER (WHERE i.object_key NOT LIKE 'synthetic/%')
            FROM verdicts v JOIN images i ON i.id = v.image_id
            JOIN tenants t ON t.id = i.tenant_id
            WHERE t.name = 'drift-simulation' GROUP BY v.model_version
            """)
        ).all()
    # Nothing is left under the name of the model that judged them.
    ((version, verdicts, photos, stored),) = found
    assert version.startswith("drift-simulation-generator-")
    assert (photos, stored) == (60, verdicts)
    assert verdicts > 10_000
    assert detector("drift", "simulate", "--clean").code == 0


def test_a_webhook_is_registered_tried_changed_and_removed(detector, receiver):
    created = detector("webhooks", "create", receiver.url, "--event", "job.completed")
    webhook = created.out.strip()
    assert (created.code, str(UUID(webhook))) == (0, webhook)
    secret = detector("webhooks", "secret", webhook).out.strip()
    before = len(receiver.received)
    tested = detector("webhooks", "test", webhook, "--wait", 60, "--json")
    assert (tested.code, tested.one["status"]) == (0, "succeeded"), tested.err
    (request,) = receiver.received[before:]
    assert request.verified(secret)["type"] == "endpoint.test"

    rotated = detector("webhooks", "rotate", webhook, "--grace-hours", 1)
    assert rotated.out.strip() != secret
    assert "signs as well until" in rotated.err
    wanted = ("--event", "job.failed", "--description", "shop")
    changed = detector("webhooks", "update", webhook, *wanted, "--json").one
    assert (changed["events"], changed["description"]) == (["job.failed"], "shop")
    changed = detector("webhooks", "update", webhook, "--description", "depot", "--json").one
    assert (changed["events"], changed["description"]) == (["job.failed"], "depot")
    assert detector("webhooks", "update", webhook, "--all-events", "--json").one["events"] == []
    assert detector("webhooks", "update", webhook).code == 2
    (listed,) = detector("webhooks", "list", "--json").lines
    assert (listed["id"], listed["url"]) == (webhook, receiver.url)
    assert receiver.url in detector("webhooks", "list").out
    assert detector("webhooks", "get", "default", "--json").one["is_default"]
    assert detector("webhooks", "get", "defualt").code == 2
    assert detector("webhooks", "delete", webhook).code == 0
    assert detector("webhooks", "get", webhook).code == 2


def test_what_was_not_received_is_seen_and_sent_again(detector, receiver):
    webhook = detector("webhooks", "create", receiver.url).out.strip()
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    receiver.answer = lambda *_: Answer(500)
    failed = detector("webhooks", "test", webhook, "--wait", 60)
    receiver.answer = lambda *_: Answer()
    assert (failed.code, "500" in failed.out) == (1, True)
    assert "not received" in failed.err
    (delivery,) = detector("webhooks", "deliveries", webhook, "--json").lines
    assert delivery["last_attempt"]["status_code"] == 500
    detail = detector("webhooks", "delivery", webhook, delivery["id"]).one
    assert (len(detail["log"]), detail["payload"]["type"]) == (1, "endpoint.test")
    replayed = detector("webhooks", "replay", webhook, delivery["id"], "--wait", 60)
    assert (replayed.code, "succeeded" in replayed.out) == (0, True)
    assert detector("webhooks", "deliveries", webhook, "--status", "failed", "--json").lines == []
    assert "endpoint.test" in detector("webhooks", "deliveries", webhook).out
    recovered = detector("webhooks", "recover", webhook, "--since", since, "--until", since)
    assert (recovered.code, recovered.err) == (0, "0 deliveries are on their way.\n")
    assert detector("webhooks", "recover", webhook, "--since", "yesterday").code == 2
    assert detector("webhooks", "update", webhook, "--status", "disabled").code == 0
    refused = detector("webhooks", "test", webhook)
    assert (refused.code, "disabled" in refused.err) == (2, True)
    assert detector("webhooks", "delete", webhook).code == 0


def test_a_catalog_is_sent_watched_and_exported(detector, photo_server, tmp_path: Path):
    rows = [f"{photo_server.url(f'{n}.jpg')},sku-{n}" for n in range(4)]
    rows.append(f"{photo_server.url('cut.jpg')},broken")
    manifest = tmp_path / "shop.csv"
    manifest.write_text("\n".join(["url,custom_id", *rows]))
    sent = detector("catalog", "ingest", manifest, "--watch", "--json", "--metadata", '{"n": 1}')
    catalog = sent.one
    assert (sent.code, catalog["status"]) == (1, "partial")  # one row got no verdict
    assert (catalog["counts"]["completed"], catalog["counts"]["failed"]) == (4, 1)
    assert catalog["metadata"] == {"n": 1}
    assert f"catalog {catalog['id']}" in sent.err

    plain = detector("catalog", "export", catalog["id"]).out
    exported = list(csv.DictReader(io.StringIO(plain)))
    assert [row["custom_id"] for row in exported] == [f"sku-{n}" for n in range(4)]
    assert {row["label"] for row in exported} <= LABELS
    lines = detector("catalog", "export", catalog["id"], "--format", "jsonl").lines
    assert [line["custom_id"] for line in lines] == [row["custom_id"] for row in exported]
    file = tmp_path / "verdicts.parquet"
    assert detector("catalog", "export", catalog["id"], "-o", file).code == 0
    assert pq.read_table(file).to_pylist() == lines
    errors = detector("catalog", "export", catalog["id"], "--rows", "errors", "--format", "jsonl")
    assert [(line["line"], line["error_code"]) for line in errors.lines] == [(6, "truncated_image")]
    assert "partial, 4 judged and 1 failed of 5" in detector("catalog", "get", catalog["id"]).err
    assert catalog["id"] in detector("catalog", "list").out

    manifest.write_text("\n".join(["url,custom_id", *rows[:4]]))
    again = detector("catalog", "ingest", manifest, "--watch")
    assert again.code == 0, again.err
    assert "succeeded, 4 judged" in again.err
    assert detector("catalog", "ingest", tmp_path / "none.csv").code == 2


def test_a_key_without_the_scope_is_told_which_one_it_lacks(detector, database, monkeypatch):
    with database.begin() as session:
        tenant = keys.get_or_create_tenant(session, "local")
        key = keys.create_key(session, tenant, "jobs only", [Scope.JOBS_READ, Scope.JOBS_WRITE])
    monkeypatch.setenv("DETECTOR_API_KEY", key)
    assert detector("jobs", "list").code == 0
    for group in ("webhooks", "catalog"):
        refused = detector(group, "list")
        assert (refused.code, "--scope" in refused.err) == (2, True)
