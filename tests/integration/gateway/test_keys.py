"""`/keys`: a tenant's administrators manage its keys, and no other's."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from shared.contracts.scopes import Scope
from tests.integration.gateway.helpers import slug


@pytest.fixture
def admin(gateway):
    """A client of a fresh tenant with the scope `admin`."""
    with gateway.client(gateway.new_key(f"tenant {uuid4()}", [Scope.ADMIN])) as client:
        yield client


def _created(admin, **body) -> dict:
    response = admin.post("/keys", json={"name": "ci", **body})
    assert response.status_code == 201, response.text
    return response.json()


def _status_with(gateway, key: str) -> int:
    with gateway.client(key) as client:
        return client.get(f"/jobs/{uuid4()}").status_code


def test_a_created_key_works_with_its_scopes_and_is_shown_once(gateway, admin):
    response = admin.post("/keys", json={"name": "reader", "scopes": ["jobs:read", "jobs:read"]})
    created = response.json()
    assert response.headers["location"] == f"/keys/{created['id']}"
    assert response.headers["cache-control"] == "no-store"
    assert created["scopes"] == ["jobs:read"]
    assert created["key"].startswith(created["prefix"])
    assert created["last_used_at"] is None
    with gateway.client(created["key"]) as reader:
        assert reader.get(f"/jobs/{uuid4()}").status_code == 404
        assert reader.post("/predict").status_code == 403
        assert reader.get("/keys").status_code == 403
    shown = admin.get(f"/keys/{created['id']}").json()
    assert "key" not in shown
    used = datetime.fromisoformat(shown["last_used_at"])
    assert abs(datetime.now(UTC) - used) < timedelta(minutes=1)


def test_default_scopes_read_and_write_jobs(admin):
    assert _created(admin)["scopes"] == ["jobs:write", "jobs:read"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "ci", "scopes": []}, "scopes"),
        ({"name": "ci", "scopes": ["root"]}, "scopes.0"),
        ({"name": "ci", "expires_at": "2026-01-01T00:00:00"}, "expires_at"),
        ({"name": "ci", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "ci", "scope": "admin"}, "scope"),
    ],
)
def test_an_improper_request_makes_no_key(admin, body, field):
    response = admin.post("/keys", json=body)
    assert (response.status_code, slug(response)) == (422, "invalid-request")
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert len(admin.get("/keys").json()["data"]) == 1


def test_a_key_made_for_a_while_is_refused_afterwards(gateway, admin):
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    created = _created(admin, expires_at=soon)
    assert _status_with(gateway, created["key"]) == 404
    with gateway.sessions.begin() as session:
        session.execute(
            text("UPDATE api_keys SET expires_at = now() WHERE id = :id"), {"id": created["id"]}
        )
    assert _status_with(gateway, created["key"]) == 401
    assert admin.get(f"/keys/{created['id']}").json()["status"] == "expired"
    rotated = admin.post(f"/keys/{created['id']}/rotate", json={})
    assert (rotated.status_code, slug(rotated)) == (409, "key-not-active")


def test_revoking_is_at_once_and_for_good(gateway, admin):
    created = _created(admin)
    path = f"/keys/{created['id']}"
    assert _status_with(gateway, created["key"]) == 404
    assert [admin.delete(path).status_code for _ in range(2)] == [204, 204]
    assert _status_with(gateway, created["key"]) == 401
    assert admin.get(path).json()["status"] == "revoked"
    listed = [key["id"] for key in admin.get("/keys").json()["data"]]
    everything = admin.get("/keys", params={"include_inactive": "true"}).json()["data"]
    assert created["id"] not in listed
    assert created["id"] in [key["id"] for key in everything]


def test_rotation_overlaps_for_the_grace_period(gateway, admin):
    old = _created(admin, scopes=["jobs:read"])
    response = admin.post(f"/keys/{old['id']}/rotate", json={"grace_seconds": 3600})
    assert response.status_code == 201
    new = response.json()
    assert (new["name"], new["scopes"], new["expires_at"]) == ("ci", ["jobs:read"], None)
    assert new["replaces"]["id"] == old["id"]
    ends = datetime.fromisoformat(new["replaces"]["expires_at"])
    assert timedelta(minutes=58) < ends - datetime.now(UTC) < timedelta(minutes=62)
    assert _status_with(gateway, old["key"]) == _status_with(gateway, new["key"]) == 404


def test_rotation_without_grace_or_body(gateway, admin):
    old = _created(admin)
    assert admin.post(f"/keys/{old['id']}/rotate", json={"grace_seconds": 0}).status_code == 201
    assert _status_with(gateway, old["key"]) == 401
    other = _created(admin)
    new = admin.post(f"/keys/{other['id']}/rotate")
    assert new.status_code == 201
    ends = datetime.fromisoformat(new.json()["replaces"]["expires_at"])
    assert timedelta(hours=23) < ends - datetime.now(UTC) < timedelta(hours=25)


def test_another_tenants_key_does_not_exist(gateway, admin):
    with gateway.client(gateway.new_key(f"tenant {uuid4()}", [Scope.ADMIN])) as rival:
        theirs = _created(rival)
        for answer in (
            admin.get(f"/keys/{theirs['id']}"),
            admin.delete(f"/keys/{theirs['id']}"),
            admin.post(f"/keys/{theirs['id']}/rotate", json={}),
        ):
            assert (answer.status_code, slug(answer)) == (404, "not-found")
        assert rival.get(f"/keys/{theirs['id']}").json()["status"] == "active"
    assert theirs["id"] not in [key["id"] for key in admin.get("/keys").json()["data"]]


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.ADMIN])
def test_only_administrators_manage_keys(gateway, scope):
    with gateway.client(gateway.new_key("shop", [scope])) as client:
        for answer in (
            client.get("/keys"),
            client.post("/keys", json={"name": "mine", "scopes": ["admin"]}),
            client.get(f"/keys/{uuid4()}"),
            client.delete(f"/keys/{uuid4()}"),
            client.post(f"/keys/{uuid4()}/rotate", json={}),
        ):
            assert (answer.status_code, slug(answer)) == (403, "missing-scope")
