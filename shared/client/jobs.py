"""`/jobs` and `/predict`: photos in, verdicts out."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.client.errors import JobNotFinished, UnexpectedResponse
from shared.client.pages import items
from shared.client.photo import Photo, header_safe
from shared.client.transport import Query, Transport, parse
from shared.contracts.states import TERMINAL_JOB, JobStatus
from shared.contracts.wire.job_requests import MAX_PAGE, JobPage, JobRequest, JobSummary
from shared.contracts.wire.jobs import Job, Prediction

# The gateway's own limit of `?wait=`, in seconds.
MAX_WAIT_SECONDS = 30
IDEMPOTENCY_KEY = "Idempotency-Key"
# A gateway that answers a long poll at once must not be asked in a tight loop.
_SHORTEST_POLL_SECONDS = 0.5


class Jobs:
    """Calls of the jobs API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        photos: Sequence[Photo],
        *,
        listing_id: str | None = None,
        category: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Send 1 to 64 photos as one job and return it as accepted; its images keep the order.

        Sent again under one idempotency key when the connection breaks: there is one job, however
        many attempts it takes. Give a key of your own to have that beyond this call. Raises OSError
        when a photo's file cannot be read.
        """
        fields = {
            "listing_id": listing_id,
            "category": category,
            "metadata": json.dumps(metadata) if metadata else None,
            "webhook_url": webhook_url,
        }
        data = {name: value for name, value in fields.items() if value is not None}
        headers = {IDEMPOTENCY_KEY: idempotency_key or str(uuid4())}

        def send() -> httpx.Response:
            # Streams are opened anew for each attempt: a retry must start at byte 0.
            with ExitStack() as stack:
                files = [
                    ("images", (header_safe(photo.name), stack.enter_context(photo.open())))
                    for photo in photos
                ]
                return self._transport.http.post("/jobs", data=data, files=files, headers=headers)

        return _whole(self._transport.call("POST", send, repeatable=True), len(photos))

    def submit_urls(self, request: JobRequest, *, idempotency_key: str | None = None) -> Job:
        """Have the gateway fetch photos by URL; for the idempotency key see `submit`."""
        headers = {IDEMPOTENCY_KEY: idempotency_key or str(uuid4())}
        body = request.model_dump(mode="json", exclude_unset=True)

        def send() -> httpx.Response:
            return self._transport.http.post("/jobs", json=body, headers=headers)

        return _whole(self._transport.call("POST", send, repeatable=True), len(request.images))

    def predict(self, photo: Photo) -> Prediction:
        """Send one photo and return its verdict; raises OSError when its file cannot be read."""

        def send() -> httpx.Response:
            with photo.open() as stream:
                files = {"file": (header_safe(photo.name), stream)}
                return self._transport.http.post("/predict", files=files)

        return parse(self._transport.call("POST", send), Prediction)

    def get(self, job_id: UUID, wait_seconds: float = 0) -> Job:
        """Return the job; with `wait_seconds` the gateway answers once it is done or time is up."""
        wait = round(min(max(wait_seconds, 0.0), MAX_WAIT_SECONDS), 3)
        query = {"wait": wait} if wait else None
        return self._transport.get(f"/jobs/{job_id}", Job, query, wait_seconds=wait)

    def wait(self, job_id: UUID, timeout_seconds: float) -> Job:
        """Return the job once it is terminal; raises JobNotFinished after `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            started = time.monotonic()
            job = self.get(job_id, wait_seconds=deadline - started)
            if job.status in TERMINAL_JOB:
                return job
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise JobNotFinished(job, timeout_seconds)
            early = _SHORTEST_POLL_SECONDS - (time.monotonic() - started)
            time.sleep(max(0.0, min(early, remaining)))

    def list(
        self,
        *,
        status: Iterable[JobStatus] = (),
        listing_id: str | None = None,
        category: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int = MAX_PAGE,
    ) -> Iterator[JobSummary]:
        """Yield the jobs that fit, the newest first, reading page after page as needed.

        Times need a zone; `created_after` includes its instant, `created_before` does not.
        """
        filters = {
            "listing_id": listing_id,
            "category": category,
            "created_after": created_after and created_after.isoformat(),
            "created_before": created_before and created_before.isoformat(),
        }
        query: dict[str, Any] = {name: text for name, text in filters.items() if text is not None}
        query |= {"status": [each.value for each in status], "limit": page_size}

        def read(cursor: str | None) -> JobPage:
            return self._transport.get("/jobs", JobPage, with_cursor(query, cursor))

        return items(read)

    def cancel(self, job_id: UUID) -> Job:
        """Cancel the photos that have not been started and return the job as it stands then."""
        return self._transport.send_for("DELETE", f"/jobs/{job_id}", Job)


def with_cursor(query: Query, cursor: str | None) -> Query:
    """Return the query of the page at `cursor`, None for the first."""
    return query if cursor is None else {**query, "cursor": cursor}


def _whole(response: httpx.Response, sent: int) -> Job:
    job = parse(response, Job)
    if len(job.images) != sent:
        raise UnexpectedResponse(
            str(response.url), response.status_code, f"{len(job.images)} images for {sent} sent"
        )
    return job
