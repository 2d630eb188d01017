"""Words of bulk catalogs."""

from enum import StrEnum
from uuid import UUID


class CatalogStatus(StrEnum):
    """A catalog is terminal once it is read through and each of its photos is."""

    QUEUED = "queued"  # accepted, not a row read yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"  # every row has a verdict
    PARTIAL = "partial"  # some rows have a verdict, others failed
    FAILED = "failed"  # no row has a verdict, or the manifest cannot be read
    CANCELLED = "cancelled"


class CatalogFormat(StrEnum):
    """What was submitted."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ZIP = "zip"
    S3_PREFIX = "s3_prefix"


TERMINAL_CATALOG = frozenset(
    {
        CatalogStatus.SUCCEEDED,
        CatalogStatus.PARTIAL,
        CatalogStatus.FAILED,
        CatalogStatus.CANCELLED,
    }
)


class RowErrorCode(StrEnum):
    """Why a row became no photo, besides the codes of `ImageErrorCode`. Never rename one."""

    INVALID_ROW = "invalid_row"  # not readable, or without a photo
    KEY_NOT_FOUND = "key_not_found"  # no such object under the tenant's import prefix
    SUSPICIOUS_ENTRY = "suspicious_entry"  # of an archive: encrypted, or a bomb's ratio


class CatalogErrorCode(StrEnum):
    """Why a whole catalog ended early. What was read before goes on to its verdicts."""

    INVALID_MANIFEST = "invalid_manifest"
    INVALID_ARCHIVE = "invalid_archive"
    EMPTY_CATALOG = "empty_catalog"
    SOURCE_MISSING = "source_missing"
    # Reading on ended the reader, again and again.
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"


def import_prefix(tenant_id: UUID) -> str:
    """Return the prefix under which the tenant's own photos lie, for S3 keys and prefixes."""
    return f"imports/{tenant_id}/"
