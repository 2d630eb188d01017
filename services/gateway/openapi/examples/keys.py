"""Examples of the key routes, for the OpenAPI document."""

from typing import Any

NEW_KEY: dict[str, Any] = {"name": "listing upload", "scopes": ["jobs:write", "jobs:read"]}
KEY: dict[str, Any] = {
    "id": "0199f3c2-8c20-7d11-9b0e-4f5a6b7c8d90",
    "name": "listing upload",
    "prefix": "apd_J9f2Lr0q",
    "scopes": ["jobs:write", "jobs:read"],
    "status": "active",
    "created_at": "2026-11-22T17:00:00Z",
    "last_used_at": None,
    "expires_at": None,
    "revoked_at": None,
}
# Made up, and too short to be one.
CREATED_KEY = {**KEY, "key": "apd_J9f2Lr0q-example"}
KEY_LIST = {"data": [KEY]}
ROTATION = {"grace_seconds": 86400}
ROTATED_KEY: dict[str, Any] = {
    **KEY,
    "id": "0199f3c2-9d31-7e22-8c1f-5a6b7c8d9ea1",
    "prefix": "apd_Qw7Zt3xk",
    "key": "apd_Qw7Zt3xk-example",
    "replaces": {**KEY, "expires_at": "2026-11-23T17:00:00Z"},
}
