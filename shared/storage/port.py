"""The object-store port."""

import hashlib
from typing import Protocol
from uuid import UUID


class ObjectStore(Protocol):
    """Content-addressed bytes. Every method blocks; call it from a thread.

    Errors: `ObjectMissing` when there is no such key, `ObjectCorrupt` when the bytes are not
    those that were put, `StorageError` for everything that a retry may cure.
    """

    def ensure_ready(self) -> None:
        """Create the bucket when missing; raises StorageError when the store does not answer."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store `data` durably under `key`; putting the same bytes again is harmless."""

    def get(self, key: str, size: int, sha256: str) -> bytes:
        """Return the `size` bytes under `key`, checked against `sha256` (hex)."""

    def delete(self, key: str) -> None:
        """Remove `key`; a missing one is no error."""


def image_key(tenant_id: UUID, sha256: str) -> str:
    """Return the key of an image: content-addressed, and apart for every tenant."""
    return f"tenants/{tenant_id}/images/{sha256[:2]}/{sha256}"


def heatmap_key(tenant_id: UUID, sha256: str, model_version: str) -> str:
    """Return the key of the heatmap of a photo (by its SHA-256) by one model version."""
    return f"tenants/{tenant_id}/heatmaps/{sha256[:2]}/{sha256}/{model_version}.png"


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()
