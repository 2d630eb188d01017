"""Keys, scopes and tenants."""

from uuid import uuid4

import httpx
import pytest

from shared.contracts.scopes import Scope
from shared.db.tenants.keys import list_keys, revoke_key
from tests.integration.gateway.helpers import count, image_files, slug
from tests.support.photos import jpeg

PHOTO = image_files(("a.jpg", jpeg(0)))


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="detector"'),
        ({"Authorization": ""}, 'Bearer realm="detector"'),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 'Bearer realm="detector"'),
        ({"Authorization": "Bearer apd_wrong"}, 'Bearer realm="detector", error="invalid_token"'),
        ({"X-API-Key": "apd_wrong"}, 'Bearer realm="detector", error="invalid_token"'),
        ({"X-API-Key": "\xe9\xff"}, 'Bearer realm="detector", error="invalid_token"'),
    ],
)
def test_without_a_valid_key_nothing_is_read_or_written(gateway, headers, challenge):
    before = count(gateway.sessions, "jobs")
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    with httpx.Client(base_url=gateway.url, headers=encoded) as client:
        for response in (
            client.post("/jobs", files=PHOTO),
            client.post("/predict", files=PHOTO),
            client.get(f"/jobs/{uuid4()}"),
        ):
            assert (response.status_code, slug(response)) == (401, "unauthenticated")
            assert response.headers["www-authenticate"] == challenge
    assert count(gateway.sessions, "jobs") == before


def test_both_headers_carry_a_key(gateway):
    for headers in ({"Authorization": f"bearer {gateway.key}"}, {"X-API-Key": gateway.key}):
        response = httpx.post(f"{gateway.url}/jobs", files=PHOTO, headers=headers)
        assert response.status_code == 202


def test_a_revoked_key_is_refused_at_once(gateway):
    key = gateway.new_key("shop", [Scope.JOBS_READ])
    with gateway.client(key) as client:
        assert client.get(f"/jobs/{uuid4()}").status_code == 404
        with gateway.sessions.begin() as session:
            (info,) = [info for info in list_keys(session) if key.startswith(info.prefix)]
            assert revoke_key(session, info.id)
        assert client.get(f"/jobs/{uuid4()}").status_code == 401


def test_a_key_may_only_what_its_scopes_say(gateway):
    reader = gateway.new_key("shop", [Scope.JOBS_READ])
    writer = gateway.new_key("shop", [Scope.JOBS_WRITE])
    admin = gateway.new_key("shop", [Scope.ADMIN])
    with gateway.client(reader) as client:
        for path in ("/jobs", "/predict"):
            response = client.post(path, files=PHOTO)
            assert (response.status_code, slug(response)) == (403, "missing-scope")
            assert "jobs:write" in response.json()["detail"]
            assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    with gateway.client(writer) as client:
        job = client.post("/jobs", files=PHOTO).json()["links"]["self"]
        assert client.get(job).status_code == 403
    with gateway.client(reader) as client:
        assert client.get(job).status_code == 200
    with gateway.client(admin) as client:
        assert client.get(job).status_code == 200


def test_another_tenants_job_looks_like_one_that_does_not_exist(gateway, client):
    job = client.post("/jobs", files=PHOTO).json()["id"]
    with gateway.client(gateway.new_key("rival", [Scope.JOBS_READ])) as rival:
        theirs, unknown = rival.get(f"/jobs/{job}"), rival.get(f"/jobs/{uuid4()}")
    for response in (theirs, unknown):
        assert (response.status_code, slug(response)) == (404, "not-found")
    strip = {"instance", "request_id", "detail"}
    bodies = [{k: v for k, v in r.json().items() if k not in strip} for r in (theirs, unknown)]
    assert bodies[0] == bodies[1]
    assert theirs.json()["detail"] == f"there is no job {job}"
    assert client.get(f"/jobs/{job}").status_code == 200


def test_tenants_store_the_same_photo_under_keys_of_their_own(gateway, client):
    with gateway.client(gateway.new_key("rival", [Scope.JOBS_WRITE])) as rival:
        jobs = [each.post("/jobs", files=PHOTO).json()["id"] for each in (client, rival)]
    from sqlalchemy import text

    with gateway.sessions() as session:
        keys = session.execute(
            text("SELECT object_key FROM images WHERE job_id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": jobs},
        )
        assert len(set(keys.scalars())) == 2
