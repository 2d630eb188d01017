"""The part of the OpenAPI document that holds for every operation with a key: its limits."""

from typing import Any

_HEADERS: dict[str, Any] = {
    "RateLimit-Limit": {
        "description": "Requests that the tenant may send in a minute; absent without a limit.",
        "schema": {"type": "string"},
    },
    "RateLimit-Remaining": {
        "description": "How many of them are left.",
        "schema": {"type": "string"},
    },
    "RateLimit-Reset": {
        "description": "Seconds until the window ends; when none is left, until one is allowed.",
        "schema": {"type": "string"},
    },
}
_RETRY_AFTER: dict[str, Any] = {
    "Retry-After": {
        "description": "Seconds after which the request is worth sending again.",
        "schema": {"type": "string"},
    }
}


def add_limit_headers(document: dict[str, Any]) -> None:
    """Document the `RateLimit-*` headers on each answer of each operation that needs a key."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if not operation.get("security"):
                continue
            for status, response in operation["responses"].items():
                # 401: whose limit it would be is not known.
                if status != "401":
                    headers = response.setdefault("headers", {})
                    headers.update(_HEADERS)
                if status in {"429", "503"}:
                    response["headers"].update(_RETRY_AFTER)
