"""The gateway's Prometheus metrics."""

from shared.core import metrics

REQUESTS = metrics.counter(
    "http_requests", "Requests answered.", labels=("method", "route", "status")
)
DURATION = metrics.histogram(
    "http_request_duration_seconds",
    "Time to answer a request, without the waiting that its client asked for.",
    labels=("method", "route"),
)
IN_PROGRESS = metrics.live_sum("http_requests_in_progress", "Requests being handled.")
BYTES_IN = metrics.counter("http_request_body_bytes", "Bytes of request bodies received.")
ACCEPTED = metrics.counter("images_accepted", "Images stored and queued.")
REFUSED = metrics.counter("images_refused", "Files refused at intake.", labels=("code",))
REPLAYED = metrics.counter(
    "idempotent_replays", "Requests answered with the job that an earlier one had made."
)
CANCELLED = metrics.counter("images_cancelled", "Images cancelled before they were started.")
LIMITED = metrics.counter(
    "http_requests_limited",
    "Requests refused because of their tenant's limits.",
    ("limit",),
)
FETCHES = metrics.counter(
    "photo_fetches", "Photos fetched from URLs, by result: `done` or an error code.", ("result",)
)
FETCH_SECONDS = metrics.histogram("photo_fetch_seconds", "Time to fetch one photo from its URL.")
STORE_SECONDS = metrics.histogram("store_put_seconds", "Time to hash and store one file.")
LISTENERS = metrics.live_sum(
    "job_listeners_connected", "Gateway processes that hear of finished jobs from the database."
)

# Series that exist from the start: Prometheus sees an increase only between two samples.
for _limit in ("rate", "queue"):
    LIMITED.labels(_limit)
