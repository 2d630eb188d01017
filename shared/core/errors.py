"""The project's exception base. Subclasses are named for the situation and carry its facts."""


class DetectorError(Exception):
    """Base of every error this project raises on purpose."""


class StorageError(DetectorError):
    """The object store failed; trying again may help."""


class ObjectMissing(StorageError):
    """The object store has no object under this key; trying again will not help."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object under key {key!r}")
        self.key = key


class ObjectCorrupt(StorageError):
    """The bytes read are not those that were stored (wrong length or SHA-256)."""


class QueueUnavailable(DetectorError):
    """The broker did not take a message; the outbox keeps it for a later sweep."""
