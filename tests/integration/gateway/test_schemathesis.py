"""Requests made up from the gateway's own OpenAPI document get documented answers, and no 5xx."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.config import SchemathesisConfig

from shared.contracts.scopes import Scope
from shared.db.tenants.keys import get_or_create_tenant
from tests.integration.gateway.conftest import run_gateway
from tests.integration.gateway.helpers import image_files, judge
from tests.support.drift import store_check
from tests.support.photos import smallest_sample

EXAMPLES = 6
SEED = 20261122
# What the document promises: a status, a media type, a body and headers that it names.
PROMISES = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]
CONFIG = {
    "seed": SEED,
    # Its thousands of cases take minutes; the examples of the document and made-up ones stay.
    "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
}
_LONGEST_WAIT_SECONDS = 0.2


@pytest.fixture(scope="module")
def shop(own_servers) -> Iterator[tuple[Any, str, dict[str, str]]]:
    """A gateway, an admin's key, and one thing of each kind for paths to lead to."""
    with run_gateway(own_servers, fetch_seconds=0.5, gateway_fetch_total_seconds=1.0) as gateway:
        key = gateway.new_key("shop", [Scope.ADMIN])
        with gateway.client(key) as client:
            yield gateway, key, _things(gateway, client)


def _things(gateway: Any, client: httpx.Client) -> dict[str, str]:
    job = client.post("/jobs", files=image_files(smallest_sample())).raise_for_status().json()
    judge(gateway.sessions, job["id"])
    webhook = client.post("/webhooks", json={"url": "https://shop.example/hook"}).json()
    delivery = client.post(f"/webhooks/{webhook['id']}/test").raise_for_status().json()
    with gateway.sessions.begin() as session:
        (report,) = store_check(session, [get_or_create_tenant(session, "shop")])
    manifest = {"file": ("rows.csv", b"url\nhttps://shop.example/a.jpg\n")}
    return {
        "job_id": job["id"],
        "image_id": job["images"][0]["id"],
        "webhook_id": webhook["id"],
        "delivery_id": delivery["id"],
        "catalog_id": client.post("/catalogs", files=manifest).raise_for_status().json()["id"],
        "key_id": client.post("/keys", json={"name": "spare"}).raise_for_status().json()["id"],
        "report_id": str(report),
        "slug": "not-found",
    }


@pytest.fixture(scope="module")
def api(shop):
    """The running gateway's document; most paths lead to what exists, and nothing waits long."""
    gateway, _, things = shop
    config = SchemathesisConfig.from_dict(CONFIG)
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json", config=config)

    @schema.hook
    def map_path_parameters(context, path_parameters):
        # Ids that are none stay, so that refusing them is tried too.
        return {
            name: things[name] if name in things and _is_id(value) else value
            for name, value in (path_parameters or {}).items()
        }

    @schema.hook
    def map_query(context, query):
        wait = (query or {}).get("wait")
        if isinstance(wait, int | float) and wait > _LONGEST_WAIT_SECONDS and wait <= 30:
            query["wait"] = _LONGEST_WAIT_SECONDS
        return query

    return schema


def _is_id(value: Any) -> bool:
    try:
        UUID(str(value))
    except ValueError:
        return value == "default"
    return True


@pytest.mark.timeout(600)
def test_every_answer_is_documented_and_none_is_a_5xx(api, shop) -> None:
    gateway, key, _ = shop
    headers = {"Authorization": f"Bearer {key}"}
    tried, failures = 0, []
    # `POST /predict` waits for a worker, and none runs here: test_predict.py has its answers.
    for result in api.exclude(path="/predict").get_all_operations():
        operation = result.ok()

        # No shrinking: a failure names its request, and time is short.
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def probe(case) -> None:
            if case.operation.path.endswith(("/heatmap", "/evidence")):
                # No worker runs here, and without this it is waited for.
                case.query = {"wait": _LONGEST_WAIT_SECONDS, **(case.query or {})}
            case.call_and_validate(base_url=gateway.url, headers=headers, checks=PROMISES)

        try:
            probe()
        except BaseExceptionGroup as group:
            failures.append(f"{operation.label}: {group.exceptions}")
        tried += 1
    assert tried > 30
    assert not failures, "\n\n".join(failures)
