"""The document describes the gateway; nothing connects to build it."""

import importlib
import pkgutil
import re

import pytest
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel

import shared.contracts
from services.gateway.app import create_app
from services.gateway.http.problems import PROBLEMS
from services.gateway.settings import GatewaySettings
from shared.contracts.wire.job_requests import JobRequest
from shared.contracts.wire.jobs import Problem

# Every wire schema, by the name that the document gives it.
SCHEMAS = {
    name: schema
    for module in pkgutil.walk_packages(shared.contracts.__path__, "shared.contracts.")
    if "wire" in module.name
    for name, schema in vars(importlib.import_module(module.name)).items()
    if isinstance(schema, type) and issubclass(schema, BaseModel)
}


@pytest.fixture(scope="module")
def document():
    settings = GatewaySettings(
        database_url="postgresql+psycopg://nobody@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="a",
        s3_secret_key="s",
        webhook_secret_keys="00" * 32,
    )
    return create_app(settings).openapi()


def operations(document):
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def walk(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def test_it_is_a_valid_openapi_3_1_document(document):
    assert document["openapi"].startswith("3.1")
    OpenAPI.model_validate(document)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere(document):
    references = {node["$ref"] for node in walk(document) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_it_has_the_promised_paths(document):
    assert set(document["paths"]) >= {
        "/jobs",
        "/jobs/{job_id}",
        "/images/{image_id}",
        "/images/{image_id}/feedback",
        "/predict",
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/problems",
        "/problems/{slug}",
    }


def test_every_error_is_a_problem_of_the_registry(document):
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            assert set(response["content"]) == {"application/problem+json"}, (path, status)
            examples = response["content"]["application/problem+json"]["examples"]
            for slug, example in examples.items():
                assert PROBLEMS[slug].status == int(status)
                assert Problem.model_validate(example["value"]).type == f"/problems/{slug}"


def test_examples_of_answers_fit_their_schemas(document):
    checked = 0
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/json", {})
            if "example" in content:
                name = content["schema"]["$ref"].rsplit("/", 1)[1]
                SCHEMAS[name].model_validate(content["example"])
                checked += 1
    assert checked >= 8


def test_routes_with_a_key_name_both_ways_to_send_it(document):
    for _, path, operation in operations(document):
        schemes = [name for entry in operation.get("security", []) for name in entry]
        keyed = re.match(r"/(health|metrics|problems|evidence/keys)", path) is None
        assert schemes == (["bearer", "api_key"] if keyed else []), path
    assert set(document["components"]["securitySchemes"]) == {"bearer", "api_key"}


def test_photos_by_url_are_described_as_json(document):
    body = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["properties"]["images"]["items"]["$ref"].endswith("/UrlImage")
    assert JobRequest.model_validate(body["example"]).images[0].url


def test_uploads_are_described_as_multipart(document):
    for path, field in (("/jobs", "images"), ("/predict", "file")):
        body = document["paths"][path]["post"]["requestBody"]
        assert field in body["content"]["multipart/form-data"]["schema"]["properties"]
