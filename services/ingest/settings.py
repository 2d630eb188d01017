"""Settings of the ingest process (`DETECTOR_INGEST_*`)."""

from pydantic import Field

from shared.settings.fetch import FetchSettings

MIB = 1024 * 1024
GIB = 1024 * MIB


class IngestSettings(FetchSettings):
    """How fast catalogs are read and what is taken from them."""

    # Catalogs read at once.
    ingest_concurrency: int = Field(default=2, ge=1)
    # Rows written in one transaction; a crash repeats at most one page of fetching.
    ingest_page_rows: int = Field(default=128, ge=1, le=1000)
    # Photos fetched at once for each catalog; each holds one photo's bytes in memory.
    ingest_fetch_threads: int = Field(default=8, ge=1)
    # Reading pauses while this many photos of catalogs wait for their verdict.
    ingest_max_open_images: int = Field(default=512, ge=1)
    # Seconds that a catalog is read before another one gets its turn.
    ingest_turn_seconds: float = Field(default=30.0, gt=0)
    # Seconds until the catalog of a dead process may be taken by another.
    ingest_lease_seconds: float = Field(default=30.0, gt=0)
    # Seconds between two counts of a catalog's rows; longer for catalogs that take long to count.
    ingest_refresh_seconds: float = Field(default=2.0, gt=0)
    # CPU niceness (0–19): on one machine, reading gives way to the gateway and the worker.
    ingest_niceness: int = Field(default=10, ge=0, le=19)
    # Bytes and pixels of one photo; the gateway's limits should be the same.
    ingest_max_image_bytes: int = Field(default=20 * MIB, ge=1)
    # Width times height times frames, read from the header.
    ingest_max_pixels: int = Field(default=52_000_000, ge=1)
    # Rows of one catalog.
    ingest_max_rows: int = Field(default=5_000_000, ge=1)
    # Files of one archive; their directory is held in memory, about 1 KiB each.
    ingest_zip_max_entries: int = Field(default=50_000, ge=1)
    # Bytes of an archive's files together once unpacked.
    ingest_zip_max_bytes: int = Field(default=64 * GIB, ge=1)
    # Unpacked bytes per packed byte of one file; photos hardly shrink, so more is a bomb.
    ingest_zip_max_ratio: int = Field(default=100, ge=2)
    # Bucket with the tenants' own photos, for S3 keys and prefixes, each tenant's below
    # imports/TENANT_ID/. Empty: the bucket of the photos.
    ingest_import_bucket: str = ""
    # Address on which /metrics answers.
    ingest_metrics_host: str = "127.0.0.1"
    # Its port; 0 takes a free one and logs it.
    ingest_metrics_port: int = Field(default=9104, ge=0, le=65535)
