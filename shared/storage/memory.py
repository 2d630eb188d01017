"""An object store in this process's memory, for code that runs without servers."""

from threading import Lock

from shared.core.errors import ObjectCorrupt, ObjectMissing
from shared.storage.port import sha256_hex


class MemoryObjectStore:
    """See `ObjectStore`. Thread-safe."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = Lock()

    def ensure_ready(self) -> None:
        """Nothing to prepare."""

    def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002  # the port's shape
        """Keep a copy."""
        with self._lock:
            self._objects[key] = bytes(data)

    def get(self, key: str, size: int, sha256: str) -> bytes:
        """Return the bytes, checked like a real store's."""
        with self._lock:
            data = self._objects.get(key)
        if data is None:
            raise ObjectMissing(key)
        if len(data) != size or sha256_hex(data) != sha256:
            raise ObjectCorrupt(f"object {key!r} is not what was stored")
        return data

    def delete(self, key: str) -> None:
        """Forget the object."""
        with self._lock:
            self._objects.pop(key, None)
