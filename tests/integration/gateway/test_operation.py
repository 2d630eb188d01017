"""Health, problem pages, request ids, and what no route handles."""

import re

import httpx
import pytest
from sqlalchemy import text

from tests.integration.gateway.helpers import slug
from tests.support.processes import free_port, wait_until


def test_health_is_open_and_names_every_server(gateway):
    for path in ("/health", "/health/ready"):
        response = httpx.get(f"{gateway.url}{path}")
        assert response.status_code == 200
        body = response.json()
        assert body["status"] == "ok"
        assert {name: check["status"] for name, check in body["checks"].items()} == {
            "database": "ok",
            "storage": "ok",
            "broker": "ok",
        }
    assert httpx.get(f"{gateway.url}/health/live").json()["status"] == "ok"


def test_without_the_broker_it_is_degraded_but_ready(start_gateway):
    with start_gateway(redis_url=f"redis://127.0.0.1:{free_port()}/0") as gateway:
        response = httpx.get(f"{gateway.url}/health/ready")
        assert (response.status_code, response.json()["status"]) == (200, "degraded")
        assert response.json()["checks"]["broker"]["status"] == "failed"


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ({"s3_endpoint": "http://127.0.0.1:{port}"}, "storage"),
        ({"database_url": "postgresql+psycopg://nobody@127.0.0.1:{port}/none"}, "database"),
    ],
)
def test_without_database_or_store_it_lives_but_is_not_ready(start_gateway, setting, name):
    away = {key: value.format(port=free_port()) for key, value in setting.items()}
    with start_gateway(**away) as gateway:
        assert httpx.get(f"{gateway.url}/health/live").status_code == 200
        for path in ("/health", "/health/ready"):
            response = httpx.get(f"{gateway.url}{path}")
            assert (response.status_code, slug(response)) == (503, "not-ready")
            checks = response.json()["checks"]
            assert [key for key, value in checks.items() if value["status"] == "failed"] == [name]
            assert "nobody" not in response.text


def test_a_server_that_comes_back_makes_it_ready_again(start_gateway, server_stack):
    weed = server_stack.server("seaweedfs")
    weed.kill()
    try:
        with start_gateway() as gateway:
            assert httpx.get(f"{gateway.url}/health/ready", timeout=20).status_code == 503
            weed.restart()

            def ready():
                return httpx.get(f"{gateway.url}/health/ready", timeout=20).status_code == 200

            wait_until(ready, 20, "the gateway is ready")
    finally:
        if not weed.is_ready():
            weed.restart()


def test_a_schema_older_than_the_code_is_not_ready_and_a_newer_one_is(start_gateway):
    def set_revision(gateway, revision):
        with gateway.sessions.begin() as session:
            old = session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
            session.execute(
                text("UPDATE alembic_version SET version_num = :new"), {"new": revision}
            )
        return old

    with start_gateway() as gateway:
        head = set_revision(gateway, "9999")
        try:
            assert httpx.get(f"{gateway.url}/health/ready").status_code == 200
            with gateway.sessions.begin() as session:
                session.execute(text("DELETE FROM alembic_version"))

            def refused():
                return httpx.get(f"{gateway.url}/health/ready").status_code == 503

            wait_until(refused, 5, "the missing schema is noticed")
            detail = httpx.get(f"{gateway.url}/health").json()["checks"]["database"]["detail"]
            assert "detector db upgrade" in detail
        finally:
            with gateway.sessions.begin() as session:
                session.execute(text("DELETE FROM alembic_version"))
                session.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})


def test_every_problem_type_has_its_page(gateway):
    listed = httpx.get(f"{gateway.url}/problems").json()
    assert len(listed) > 20
    for entry in listed:
        page = httpx.get(f"{gateway.url}{entry['type']}")
        assert page.status_code == 200
        assert page.json() == entry
        assert entry["title"]
        assert entry["help"]
    missing = httpx.get(f"{gateway.url}/problems/nope")
    assert (missing.status_code, slug(missing)) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/jobs/", 404, "not-found"),
        ("GET", "/redoc", 404, "not-found"),
        ("DELETE", "/jobs", 405, "method-not-allowed"),
        ("PUT", "/predict", 405, "method-not-allowed"),
        ("BREW", "/health", 400, "malformed-request"),
    ],
)
def test_what_no_route_handles_is_a_problem(gateway, method, path, status, problem):
    response = httpx.request(method, f"{gateway.url}{path}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == f"/problems/{problem}"
    if status == 405:
        assert response.headers["allow"] == ("GET, POST" if path == "/jobs" else "POST")


def test_the_reference_page_loads_nothing_from_outside(gateway):
    page = httpx.get(f"{gateway.url}/", follow_redirects=True)
    assert page.status_code == 200
    assert page.url.path == "/docs"
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) >= 3
    for path in loaded:
        assert path.startswith("/docs/assets/"), path
        assert httpx.get(f"{gateway.url}{path}").status_code == 200


def test_a_request_id_is_echoed_or_made(gateway):
    url = f"{gateway.url}/health/live"
    given = httpx.get(url, headers={"X-Request-ID": "trace-1"})
    assert given.headers["x-request-id"] == "trace-1"
    odd = httpx.get(url, headers={"X-Request-ID": "a b"}).headers["x-request-id"]
    new = httpx.get(url).headers["x-request-id"]
    assert len({odd, new, "a b"}) == 3
    problem = httpx.get(f"{gateway.url}/nope", headers={"X-Request-ID": "trace-2"})
    assert problem.json()["request_id"] == problem.headers["x-request-id"] == "trace-2"
