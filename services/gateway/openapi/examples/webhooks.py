"""Examples of the webhook routes, for the OpenAPI document."""

from typing import Any

WEBHOOK_ID = "0199f3c2-7a10-7b52-8f3e-2c6d1e9b4a01"
_DELIVERY_ID = "0b6d3c1e-9a53-4e0e-8f0f-6b7c112f4f0f"
_EVENT_ID = "0199f3c2-7b44-7c10-9d22-5f0e6a1b3c88"
_JOB_ID = "0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10"
_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105  # the specification's example

NEW_WEBHOOK: dict[str, Any] = {
    "url": "https://shop.example/hooks/detector",
    "events": ["job.completed", "job.failed"],
    "description": "trust and safety",
}
WEBHOOK: dict[str, Any] = {
    "id": WEBHOOK_ID,
    **NEW_WEBHOOK,
    "is_default": False,
    "status": "enabled",
    "disabled_at": None,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": "2026-11-22T17:00:00Z",
}
CREATED_WEBHOOK = {**WEBHOOK, "secret": _SECRET}
WEBHOOK_LIST = {"data": [WEBHOOK]}
CHANGES = {"status": "enabled"}
SECRETS: dict[str, Any] = {"secret": _SECRET, "previous": []}
ROTATION = {"grace_seconds": 86400}
ROTATED: dict[str, Any] = {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "previous": [{"secret": _SECRET, "expires_at": "2026-11-23T17:00:00Z"}],
}
_ATTEMPT: dict[str, Any] = {
    "attempted_at": "2026-11-22T17:00:01Z",
    "status_code": 204,
    "latency_ms": 41.7,
    "response_body": "",
    "error": None,
}
QUEUED_DELIVERY: dict[str, Any] = {
    "id": _DELIVERY_ID,
    "event_id": _EVENT_ID,
    "event_type": "endpoint.test",
    "url": NEW_WEBHOOK["url"],
    "status": "pending",
    "attempts": 0,
    "next_attempt_at": "2026-11-22T17:00:01Z",
    "created_at": "2026-11-22T17:00:01Z",
    "finished_at": None,
    "last_attempt": None,
}
DELIVERY: dict[str, Any] = {
    **QUEUED_DELIVERY,
    "event_type": "job.completed",
    "status": "succeeded",
    "attempts": 1,
    "next_attempt_at": None,
    "finished_at": "2026-11-22T17:00:01Z",
    "last_attempt": _ATTEMPT,
}
DELIVERY_PAGE: dict[str, Any] = {
    "data": [DELIVERY],
    "next_cursor": None,
    "links": {"self": f"/webhooks/{WEBHOOK_ID}/deliveries", "next": None},
}
DELIVERY_DETAIL: dict[str, Any] = {
    **DELIVERY,
    "log": [_ATTEMPT],
    "payload": {
        "type": "job.completed",
        "timestamp": "2026-11-22T17:00:00.110Z",
        "data": {"id": _JOB_ID, "status": "succeeded"},
    },
}
RECOVERY = {"since": "2026-11-22T00:00:00Z", "until": "2026-11-22T12:00:00Z"}
RECOVERED = {"deliveries": 17}


def json_body(example: Any) -> dict[str, Any]:
    """Return the `openapi_extra` of a route whose body looks like `example`."""
    return {"requestBody": {"content": {"application/json": {"example": example}}}}


def json_answer(example: Any) -> dict[str, Any]:
    """Return the `responses` entry of an answer that looks like `example`."""
    return {"content": {"application/json": {"example": example}}}
