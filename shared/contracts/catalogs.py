"""Words of bulk catalogs."""

from enum import StrEnum


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
