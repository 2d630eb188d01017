"""The OpenAPI document: problems by status, request bodies and examples."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from services.gateway.http.problems import (
    DATABASE_UNAVAILABLE,
    INTERNAL_ERROR,
    MISSING_SCOPE,
    RATE_LIMITED,
    UNAUTHENTICATED,
    ProblemKind,
)
from services.gateway.http.responses import PROBLEM_MEDIA_TYPE
from services.gateway.openapi.limits import add_limit_headers
from shared.contracts.wire.jobs import Problem

DESCRIPTION = """
Tells real product photos from AI-generated ones. Send photos, then read the verdicts:

1. `POST /jobs` with 1–64 photos answers 202 as soon as they are safely stored.
2. `GET /jobs/{id}?wait=30` answers when the verdicts are there.

`POST /predict` does both for one photo. Errors are `application/problem+json` (RFC 9457); each
`type` is a path of this server that says what to do. Every answer carries `X-Request-ID`.
"""
TAGS = [
    {"name": "jobs", "description": "Submit photos and read verdicts."},
    {"name": "images", "description": "Single photos: evidence, heatmaps and reviews."},
    {"name": "catalogs", "description": "Photos by the thousand, from a file or a bucket."},
    {"name": "webhooks", "description": "Being told: Standard Webhooks 1.0."},
    {"name": "drift", "description": "Have predictions shifted, and why?"},
    {"name": "keys", "description": "API keys of the caller's tenant; needs the scope `admin`."},
    {"name": "operation", "description": "Health and metrics, open without a key."},
    {"name": "problems", "description": "What problem types mean."},
]
# Any route that needs a key can answer these.
_KEYED = (
    UNAUTHENTICATED,
    MISSING_SCOPE,
    RATE_LIMITED,
    INTERNAL_ERROR,
    DATABASE_UNAVAILABLE,
)

Responses = dict[int | str, dict[str, Any]]

_EXAMPLE_ID = "0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10"
_EXAMPLE_IMAGE_ID = "0199f3c2-6f2c-7d01-8e1a-5b0d6f2a9c44"
_EXAMPLE_LINKS = {"self": f"/jobs/{_EXAMPLE_ID}", "wait": f"/jobs/{_EXAMPLE_ID}?wait=30"}
_EXAMPLE_IMAGE: dict[str, Any] = {
    "id": _EXAMPLE_IMAGE_ID,
    "filename": "mug.jpg",
    "status": "queued",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "width": 1024,
    "height": 768,
    "error": None,
    "verdict": None,
}
ACCEPTED_EXAMPLE: dict[str, Any] = {
    "id": _EXAMPLE_ID,
    "status": "queued",
    "created_at": "2026-11-22T17:00:00Z",
    "started_at": None,
    "finished_at": None,
    "listing_id": "L-1042",
    "category": "kitchen",
    "metadata": {"seller": "S-7"},
    "images": [_EXAMPLE_IMAGE],
    "verdict": None,
    "links": _EXAMPLE_LINKS,
}
FINISHED_EXAMPLE: dict[str, Any] = {
    **ACCEPTED_EXAMPLE,
    "status": "succeeded",
    "started_at": "2026-11-22T17:00:00.040Z",
    "finished_at": "2026-11-22T17:00:00.110Z",
    "images": [
        {
            **_EXAMPLE_IMAGE,
            "status": "succeeded",
            "verdict": {
                "label": "ai_generated",
                "probability": 0.97,
                "confidence": 0.97,
                "model_version": "b0-2026.11.22",
                "basis": "pixels",
                "pixels_probability": 0.97,
                "evidence": [],
            },
        }
    ],
    "verdict": {
        "label": "ai_generated",
        "probability": 0.97,
        "reason": "1 of 1 judged photos AI-generated,"
        " most clearly 'mug.jpg' with probability 0.97.",
        "image_id": _EXAMPLE_IMAGE_ID,
        "basis": "pixels",
    },
}
CANCELLED_EXAMPLE: dict[str, Any] = {
    **ACCEPTED_EXAMPLE,
    "status": "cancelled",
    "finished_at": "2026-11-22T17:00:01Z",
    "images": [{**_EXAMPLE_IMAGE, "status": "cancelled"}],
}
PAGE_EXAMPLE: dict[str, Any] = {
    "data": [
        {
            **{k: v for k, v in FINISHED_EXAMPLE.items() if k != "images"},
            "image_counts": {
                "total": 1,
                "queued": 0,
                "running": 0,
                "succeeded": 1,
                "failed": 0,
                "cancelled": 0,
            },
        }
    ],
    "next_cursor": None,
    "links": {"self": "/jobs?listing_id=L-1042", "next": None},
}
PREDICTION_EXAMPLE: dict[str, Any] = {
    "prediction": "ai_generated",
    "probability": 0.97,
    "confidence": 0.97,
    "inference_time_ms": 70.0,
    "model_version": "b0-2026.11.22",
    "basis": "pixels",
    "pixels_probability": 0.97,
}


def problem_docs(*kinds: ProblemKind) -> Responses:
    """Return `responses` entries for `kinds`, several of one status together."""
    by_status: dict[int, list[ProblemKind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {status: _problem_doc(group) for status, group in by_status.items()}


def keyed_docs(*kinds: ProblemKind) -> Responses:
    """As `problem_docs`, plus what every route that needs a key can answer."""
    return problem_docs(*kinds, *_KEYED)


def _problem_doc(kinds: Iterable[ProblemKind]) -> dict[str, Any]:
    kinds = list(kinds)
    examples = {
        kind.slug: {
            "summary": kind.title,
            "value": {
                "type": kind.type,
                "title": kind.title,
                "status": kind.status,
                "detail": kind.help,
                "request_id": "8a4f1c52-0b6e-4e0e-9a53-2f4f0f6b7c11",
            },
        }
        for kind in kinds
    }
    return {
        "description": "; ".join(f"`{kind.slug}`: {kind.title}" for kind in kinds),
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }


def multipart_body(
    properties: dict[str, Any], required: list[str], example: dict[str, Any]
) -> dict[str, Any]:
    """Return the `content` of a request body; routes parse forms themselves, within bounds."""
    schema = {"type": "object", "properties": properties, "required": required}
    return {"multipart/form-data": {"schema": schema, "example": example}}


def json_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Return the `content` of a request body that a route parses itself, within bounds."""
    return {
        "application/json": {
            "schema": model.model_json_schema(ref_template="#/components/schemas/{model}"),
            "example": example,
        }
    }


def install_openapi(app: FastAPI) -> None:
    """Make `app` serve a document that also holds the Problem schema."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way

    # A route of our own: FastAPI's is unknown to logs and metrics.
    @app.get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> JSONResponse:
        return JSONResponse(app.openapi())


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=app.openapi_tags,
        routes=app.routes,
        license_info=app.license_info,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    _lift_definitions(document, schemas)
    _drop_fastapi_errors(document)
    add_limit_headers(document)
    return document


def _lift_definitions(document: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Move the `$defs` of request bodies that routes parse themselves to where references lead."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                schemas.update(media.get("schema", {}).pop("$defs", {}))


def _drop_fastapi_errors(document: dict[str, Any]) -> None:
    """Remove the 422 that FastAPI adds by itself; those that can happen are declared."""
    for schema in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(schema, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            added = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in added:
                del operation["responses"]["422"]
