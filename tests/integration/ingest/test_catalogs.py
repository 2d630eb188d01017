"""Catalogs from the request to the download, through real processes and servers."""

import csv
import io
import json
import random
import time
import zipfile
from collections import Counter
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from shared.contracts.catalogs import import_prefix
from shared.db.invariants import check_invariants
from shared.storage.files import S3Files
from tests.support.api import TERMINAL
from tests.support.packages import ONE_NETWORK
from tests.support.photo_server import PhotoServer
from tests.support.photos import jpeg, truncated_jpeg
from tests.support.servers import drop, provide
from tests.support.system import System

PHOTOS = {f"{number}.jpg": jpeg(number) for number in range(12)} | {
    "cut.jpg": truncated_jpeg(1),
    "text.jpg": b"no photo at all",
}


@pytest.fixture(scope="module")
def photo_server():
    with PhotoServer(PHOTOS) as server:
        yield server


@pytest.fixture(scope="module")
def system(server_stack, photo_server, tmp_path_factory):
    own = provide(server_stack)
    extra = {
        "DETECTOR_FETCH_ALLOWED_HOSTS": photo_server.host,
        "DETECTOR_INGEST_REFRESH_SECONDS": "0.2",
        "DETECTOR_INGEST_PAGE_ROWS": "16",
        "DETECTOR_MODEL_DIR": str(ONE_NETWORK),
    }
    system = System(own, tmp_path_factory.mktemp("catalogs"), extra)
    system.gateway()
    system.worker()
    system.maintenance()
    system.ingest()
    yield system
    system.close()
    drop(own)


def submit(system: System, name: str, data: bytes, **fields: str) -> dict[str, Any]:
    response = post(system, name, data, **fields)
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json()
    assert response.headers["location"] == f"/catalogs/{body['id']}"
    return body


def post(system: System, name: str, data: bytes, **fields: str) -> httpx.Response:
    return system.api.client.post("/catalogs", files={"file": (name, data)}, data=fields)


def finished(system: System, catalog: dict[str, Any], seconds: float = 150) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        body = system.api.client.get(f"/catalogs/{catalog['id']}").json()
        if body["status"] in TERMINAL:
            return body
        assert time.monotonic() < deadline, body
        time.sleep(0.2)


def download(system: System, catalog: dict[str, Any], what: str) -> list[dict[str, Any]]:
    """Return the rows as JSON Lines have them, after comparing the three formats."""
    path = f"/catalogs/{catalog['id']}/{what}"
    get = lambda fmt: system.api.client.get(path, params={"format": fmt})
    rows = [json.loads(line) for line in get("jsonl").text.splitlines()]
    table = pq.read_table(io.BytesIO(get("parquet").content)).to_pylist()
    assert table == rows
    plain = list(csv.DictReader(io.StringIO(get("csv").text)))
    assert [row["line"] for row in plain] == [str(row["line"]) for row in rows]
    return rows


def test_every_row_of_a_csv_ends_with_a_verdict_or_a_reason(system, photo_server):
    lines = ["url,custom_id,listing_id,category"]
    lines += [
        f"{photo_server.url(f'{n % 12}.jpg')}?n={n},sku-{n},L{n // 4},mugs" for n in range(40)
    ]
    lines += [photo_server.url("missing.jpg"), photo_server.url("text.jpg")]
    lines += [photo_server.url("cut.jpg"), "http://169.254.1.1/x.jpg", '"unclosed']
    catalog = submit(system, "shop.csv", "\n".join(lines).encode(), metadata='{"batch": 7}')
    body = finished(system, catalog)
    assert body["counts"] == {
        "total": 45,
        "read": 45,
        "completed": 40,
        "failed": 5,
        "duplicates": 28,
    }
    assert (body["status"], body["metadata"], body["eta_seconds"]) == ("partial", {"batch": 7}, 0)
    results = download(system, catalog, "results")
    assert [row["line"] for row in results] == list(range(2, 42))
    assert [row["custom_id"] for row in results] == [f"sku-{n}" for n in range(40)]
    # A photo that several rows share was judged once.
    assert len({row["image_id"] for row in results}) == 12
    errors = {row["line"]: row["error_code"] for row in download(system, catalog, "errors")}
    assert errors == {
        42: "fetch_status",
        43: "unsupported_type",
        44: "truncated_image",
        45: "blocked_address",
        46: "invalid_row",
    }
    engine = create_engine(system.servers.database_url)
    with engine.connect() as connection:
        kinds = connection.execute(text("SELECT DISTINCT topic FROM outbox")).scalars().all()
        subjects = connection.execute(
            text("SELECT subject FROM webhook_events WHERE type = 'catalog.completed'")
        ).scalars()
        assert list(subjects) == [{"catalog_id": catalog["id"]}]
    engine.dispose()
    assert kinds == ["inference.bulk_chunk"]
    listed = system.api.client.get("/catalogs", params={"status": "partial"}).json()["data"]
    assert catalog["id"] in [each["id"] for each in listed]
    assert system.api.client.get("/jobs").json()["data"] == []


def test_json_lines_parquet_archive_and_prefix_give_the_same_verdicts(system, photo_server):
    names = [f"{number}.jpg" for number in range(6)]
    rows = [{"url": photo_server.url(name), "custom_id": name} for name in names]
    jsonl = "\n".join(json.dumps(row) for row in rows).encode()
    parquet, archive = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__MACOSX/0.jpg", b"resource fork")
        for name in names:
            file.writestr(f"../photos/{name}", PHOTOS[name])
    system.servers.store()
    files = S3Files.from_settings(system.servers.settings())
    engine = create_engine(system.servers.database_url)
    with engine.connect() as connection:
        tenant = connection.execute(text("SELECT id FROM tenants")).scalar_one()
    engine.dispose()
    for name in names:
        data = PHOTOS[name]
        files.put(f"{import_prefix(tenant)}drop/{name}", io.BytesIO(data), len(data), "image/jpeg")
    by_prefix = system.api.client.post("/catalogs", json={"s3_prefix": "drop/"})
    assert by_prefix.status_code == 202, by_prefix.text
    keys = "key\n" + "\n".join(f"drop/{name}" for name in names) + "\n../other/0.jpg\n"
    catalogs = [
        submit(system, "shop.jsonl", jsonl),
        submit(system, "shop.parquet", parquet.getvalue()),
        submit(system, "shop.zip", archive.getvalue()),
        by_prefix.json(),
        submit(system, "keys.csv", keys.encode()),
    ]
    verdicts = []
    for catalog in catalogs:
        body = finished(system, catalog)
        assert body["counts"]["completed"] == 6, body
        verdicts.append([row["probability"] for row in download(system, catalog, "results")])
    assert all(each == verdicts[0] for each in verdicts)
    assert [row["error_code"] for row in download(system, catalogs[4], "errors")] == ["invalid_row"]


def test_what_cannot_be_read_fails_with_its_reason(system):
    headless = submit(system, "shop.csv", b"photo;name\n1;2\n")
    assert finished(system, headless)["error"]["code"] == "invalid_manifest"
    empty = submit(system, "shop.csv", b"url\n")
    assert finished(system, empty)["error"]["code"] == "empty_catalog"
    broken = submit(system, "shop.zip", b"PK\x03\x04 and no more")
    assert finished(system, broken)["error"]["code"] == "invalid_archive"
    for name, data, fields in (
        ("shop.zip", b"url\n", {}),
        ("shop.txt", b"url\n", {}),
        ("shop.csv", b"url\n", {"format": "xml"}),
        ("shop.csv", b"url\n", {"webhook_url": "ftp://x"}),
    ):
        assert post(system, name, data, **fields).status_code == 422
    outside = system.api.client.post("/catalogs", json={"s3_prefix": "../other/"})
    assert outside.status_code == 422


def test_the_same_idempotency_key_gives_the_same_catalog(system, photo_server):
    data = f"url\n{photo_server.url('0.jpg')}\n".encode()
    headers = {"Idempotency-Key": "november"}
    send = lambda content: system.api.client.post(
        "/catalogs", files={"file": ("shop.csv", content)}, headers=headers
    )
    first, again, other = send(data), send(data), send(data + b"\n")
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["idempotent-replayed"] == "true"


def test_cancelling_ends_a_catalog_early_and_keeps_what_was_judged(system, photo_server):
    lines = "\n".join(f"{photo_server.url('1.jpg')}?{n}" for n in range(5000))
    catalog = submit(system, "long.csv", f"url\n{lines}\n".encode())
    time.sleep(1.5)
    assert system.api.client.delete(f"/catalogs/{catalog['id']}").status_code == 200
    body = finished(system, catalog)
    assert body["status"] == "cancelled"
    assert body["counts"]["read"] < 5000
    assert system.api.client.delete(f"/catalogs/{catalog['id']}").json() == body


def test_another_tenant_sees_no_catalog(system, photo_server):
    data = f"url\n{photo_server.url('0.jpg')}\n".encode()
    catalog = submit(system, "shop.csv", data)
    from shared.contracts.scopes import Scope
    from shared.db.engine import make_engine, make_session_factory
    from shared.db.tenants.keys import create_key, get_or_create_tenant

    engine = make_engine(system.servers.database_url, 1)
    with make_session_factory(engine).begin() as session:
        key = create_key(session, get_or_create_tenant(session, "rival"), "k", [Scope.CATALOGS])
    engine.dispose()
    with httpx.Client(base_url=system.url, headers={"X-API-Key": key}) as client:
        for path in ("", "/results", "/errors"):
            assert client.get(f"/catalogs/{catalog['id']}{path}").status_code == 404
        assert client.delete(f"/catalogs/{catalog['id']}").status_code == 404
        assert client.get("/catalogs").json()["data"] == []


def test_told_to_end_it_ends_by_itself(system):
    ingest = system.ingest()
    assert ingest.stop() == 0
    assert "ingest.stopped" in ingest.output()


@pytest.mark.timeout(600)  # seven starts of the service
def test_kill_9_at_any_point_repeats_and_loses_no_row(make_system, photo_server, sessions):
    system = make_system(
        {
            "DETECTOR_FETCH_ALLOWED_HOSTS": photo_server.host,
            "DETECTOR_INGEST_LEASE_SECONDS": "1",
            "DETECTOR_INGEST_PAGE_ROWS": "25",
            "DETECTOR_INGEST_REFRESH_SECONDS": "0.5",
        }
    )
    system.gateway()
    system.worker()
    # Publishes what was committed right before a kill.
    system.maintenance()
    lines = "\n".join(f"{photo_server.url(f'{n % 12}.jpg')}?n={n},id-{n}" for n in range(1500))
    catalog = submit(system, "shop.csv", f"url,custom_id\n{lines}\n".encode())
    moments = random.Random(11)
    kills_amid = 0
    for _ in range(6):
        ingest = system.ingest()
        time.sleep(moments.uniform(0.2, 1.5))
        ingest.kill()
        counts = system.api.client.get(f"/catalogs/{catalog['id']}").json()["counts"]
        kills_amid += 0 < counts["read"] < 1500
    assert kills_amid > 0
    system.ingest()
    body = finished(system, catalog, 120)
    assert body["status"] == "succeeded"
    assert body["counts"] == {
        "total": 1500,
        "read": 1500,
        "completed": 1500,
        "failed": 0,
        "duplicates": 1488,
    }
    with sessions() as session:
        items = session.execute(text("SELECT custom_id FROM catalog_items ORDER BY line")).scalars()
        assert list(items) == [f"id-{n}" for n in range(1500)]
        photos = session.execute(text("SELECT sha256 FROM images")).scalars()
        assert set(Counter(photos).values()) == {1}
        assert set(check_invariants(session).values()) == {0}
