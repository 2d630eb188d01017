"""A small typed client of the jobs API over httpx. Thread-safe; blocking."""

import ipaddress
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from shared.client.config import ClientConfig
from shared.client.errors import (
    GatewayUnreachable,
    JobNotFinished,
    ProblemResponse,
    UnexpectedResponse,
    UploadInterrupted,
)
from shared.client.retry import (
    RetryPolicy,
    may_resend_after_error,
    may_resend_after_status,
    retry_after_seconds,
)
from shared.contracts.states import TERMINAL_JOB
from shared.contracts.wire import Health, Job, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)

# The gateway's own limit of `?wait=`, in seconds.
MAX_WAIT_SECONDS = 30
# uvicorn closes idle connections after 5 s: never reuse one that is about to be closed.
_KEEPALIVE_SECONDS = 2.0
# A gateway that answers a long poll at once must not be asked in a tight loop.
_SHORTEST_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo to send: its name and its bytes, or the path of a file that holds them."""

    name: str
    source: bytes | Path

    def open(self) -> BinaryIO:
        """Return a fresh stream; raises OSError when the file cannot be read."""
        return BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")


class DetectorClient:
    """Calls one gateway with one key; close it, or use it in a `with` block.

    Methods raise GatewayUnreachable, UploadInterrupted, ProblemResponse or UnexpectedResponse,
    all of them ClientError. Calls are repeated within `retry`; for POST see
    `may_resend_after_error`.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        connections: int = 10,
        timeout_seconds: float = 10.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        self.config = config
        self._retry = retry or RetryPolicy()
        self._timeout = httpx.Timeout(timeout_seconds, read=60.0, write=60.0)
        self._http = httpx.Client(
            base_url=config.url,
            headers={
                "Authorization": f"Bearer {config.api_key}",
                "Accept": "application/json, application/problem+json",
            },
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=connections, keepalive_expiry=_KEEPALIVE_SECONDS),
            # A proxy of the environment does not lead to this machine's own gateway.
            trust_env=not _is_loopback(config.url),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        photos: Sequence[Photo],
        *,
        listing_id: str | None = None,
        category: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Job:
        """Send 1 to 64 photos as one job and return it as accepted; its images keep the order.

        Raises OSError when a photo's file cannot be read.
        """
        fields = {
            "listing_id": listing_id,
            "category": category,
            "metadata": json.dumps(metadata) if metadata else None,
        }
        data = {name: value for name, value in fields.items() if value is not None}

        def send() -> httpx.Response:
            # Streams are opened anew for each attempt: a retry must start at byte 0.
            with ExitStack() as stack:
                files = [
                    ("images", (_header_safe(photo.name), stack.enter_context(photo.open())))
                    for photo in photos
                ]
                return self._http.post("/jobs", data=data, files=files)

        job = _parse(self._call("POST", send), Job)
        if len(job.images) != len(photos):
            raise UnexpectedResponse(
                f"{self.config.url}/jobs", 202, f"{len(job.images)} images for {len(photos)} sent"
            )
        return job

    def get_job(self, job_id: UUID, wait_seconds: float = 0) -> Job:
        """Return the job; with `wait_seconds` the gateway answers once it is done or time is up."""
        wait = round(min(max(wait_seconds, 0.0), MAX_WAIT_SECONDS), 3)
        timeout = httpx.Timeout(self._timeout.connect, read=wait + 30.0)
        params = {"wait": wait} if wait else {}
        return _parse(
            self._call(
                "GET", lambda: self._http.get(f"/jobs/{job_id}", params=params, timeout=timeout)
            ),
            Job,
        )

    def wait_for_job(self, job_id: UUID, timeout_seconds: float) -> Job:
        """Return the job once it is terminal; raises JobNotFinished after `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            started = time.monotonic()
            job = self.get_job(job_id, wait_seconds=deadline - started)
            if job.status in TERMINAL_JOB:
                return job
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise JobNotFinished(job, timeout_seconds)
            early = _SHORTEST_POLL_SECONDS - (time.monotonic() - started)
            time.sleep(max(0.0, min(early, remaining)))

    def health(self) -> Health:
        """Return what the gateway says of itself and its servers, also when it is not ready.

        Asked once, without retries. Raises GatewayUnreachable or UnexpectedResponse.
        """
        response = self.probe("/health/ready")
        if response.is_success:
            return _parse(response, Health)
        failure = _failure(response)
        if isinstance(failure, UnexpectedResponse):
            raise failure
        checks = failure.problem.checks or {}
        return Health(status="unavailable", version="", checks=checks)

    def probe(self, path: str) -> httpx.Response:
        """GET `path` once, without retries, and return the answer whatever its status.

        For health pages and diagnosis. Raises GatewayUnreachable.
        """
        try:
            return self._http.get(path, timeout=5.0)
        except httpx.TransportError as error:
            raise GatewayUnreachable(self.config.url, _reason(error)) from error

    def _call(self, method: str, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send, repeat where that is safe, and return a 2xx response; else raise why not."""
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            wait: float | None = None
            failure: Exception
            try:
                response = send()
            except httpx.TransportError as error:
                if not may_resend_after_error(method, error):
                    raise UploadInterrupted(_reason(error)) from error
                failure = GatewayUnreachable(self.config.url, _reason(error))
                budget = self._retry.unreachable
            else:
                if response.is_success:
                    return response
                failure = _failure(response)
                if not may_resend_after_status(method, response.status_code):
                    raise failure
                wait = retry_after_seconds(response)
                budget = self._retry.busy
            pause = self._retry.pause(attempt, wait)
            if time.monotonic() + pause > started + budget:
                raise failure
            time.sleep(pause)


def _failure(response: httpx.Response) -> ProblemResponse | UnexpectedResponse:
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        reason = response.headers.get("content-type", "no content type")
        return UnexpectedResponse(str(response.url), response.status_code, reason)
    return ProblemResponse(problem, retry_after_seconds(response))


def _parse(response: httpx.Response, model: type[ModelT]) -> ModelT:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
        raise UnexpectedResponse(str(response.url), response.status_code, reason) from error


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _header_safe(name: str) -> str:
    """Return `name` in a form that a multipart header can carry (file names may be any bytes)."""
    return name.encode("utf-8", "replace").decode()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
