"""Prometheus metrics of the ingest process."""

from prometheus_client import Counter, Gauge, Histogram

ROWS = Counter(
    "detector_ingest_rows_total",
    "Catalog rows read: `photo`, or the code of the error.",
    ["result"],
)
PAGE_SECONDS = Histogram(
    "detector_ingest_page_seconds",
    "Fetching one page of rows, and writing it.",
    ["stage"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
OPEN = Gauge("detector_ingest_catalogs_open", "Catalogs that are not terminal.")
WAITING = Counter(
    "detector_ingest_waiting_seconds_total", "Time that readers waited for photos to be judged."
)
FINISHED = Counter("detector_ingest_catalogs_finished_total", "Catalogs that became terminal.")
FAULTS = Counter(
    "detector_ingest_faults_total",
    "Turns that a fault ended; the catalog is tried again.",
    ["kind"],
)

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _kind in ("StorageError", "OperationalError"):
    FAULTS.labels(_kind)
