"""One gateway's HTTP: connections, repetition, and answers as wire schemas or errors."""

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from shared.client.config import ClientConfig
from shared.client.errors import (
    ClientError,
    DownloadInterrupted,
    GatewayUnreachable,
    ProblemResponse,
    UnexpectedResponse,
    UploadInterrupted,
    problem_error,
)
from shared.client.retry import (
    NEVER_SENT,
    REPEATABLE,
    RetryPolicy,
    may_resend_after_error,
    may_resend_after_status,
    retry_after_seconds,
)
from shared.contracts.wire.jobs import Problem

ModelT = TypeVar("ModelT", bound=BaseModel)
Query = Mapping[str, str | int | float | Sequence[str]]

# Gateways and proxies close idle connections after 5 s or more: never reuse one that is about to be
# closed.
_KEEPALIVE_SECONDS = 2.0
_JSON = "application/json, application/problem+json"


class Transport:
    """Calls one gateway with one key; thread-safe, blocking.

    Calls raise GatewayUnreachable, UploadInterrupted, ProblemResponse or UnexpectedResponse, all
    of them ClientError, and are repeated within `retry` where that is safe.
    """

    def __init__(
        self, config: ClientConfig, connections: int, timeout_seconds: float, retry: RetryPolicy
    ) -> None:
        self.config = config
        self._retry = retry
        self._timeout = httpx.Timeout(timeout_seconds, read=60.0, write=60.0)
        self.http = httpx.Client(
            base_url=config.url,
            headers={"Authorization": f"Bearer {config.api_key}", "Accept": _JSON},
            timeout=self._timeout,
            limits=httpx.Limits(max_connections=connections, keepalive_expiry=_KEEPALIVE_SECONDS),
            # A proxy of the environment does not lead to this machine's own gateway.
            trust_env=not _is_loopback(config.url),
        )

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def get(
        self, path: str, model: type[ModelT], query: Query | None = None, wait_seconds: float = 0
    ) -> ModelT:
        """GET `path`; `wait_seconds` is how long the gateway itself may take to answer."""
        return parse(self.get_response(path, query, wait_seconds), model)

    def get_response(
        self, path: str, query: Query | None = None, wait_seconds: float = 0
    ) -> httpx.Response:
        """As `get`, with the answer as it came."""
        timeout = httpx.Timeout(self._timeout.connect, read=wait_seconds + 30.0)
        params = httpx.QueryParams({name: _text(value) for name, value in (query or {}).items()})
        headers = {"Accept": "*/*"}
        return self.call(
            "GET", lambda: self.http.get(path, params=params, timeout=timeout, headers=headers)
        )

    def send(self, method: str, path: str, body: BaseModel | None = None) -> httpx.Response:
        """Send `body` as JSON, without the members that were left out."""
        json = None if body is None else body.model_dump(mode="json", exclude_unset=True)
        return self.call(method, lambda: self.http.request(method, path, json=json))

    def send_for(
        self, method: str, path: str, model: type[ModelT], body: BaseModel | None = None
    ) -> ModelT:
        """As `send`, with the answer as `model`."""
        return parse(self.send(method, path, body), model)

    @contextmanager
    def stream(self, path: str, query: Query | None = None) -> Iterator[Iterator[bytes]]:
        """Give the body of a long answer part by part.

        Raises as other calls do until the first part, DownloadInterrupted after it.
        """
        params = httpx.QueryParams({name: _text(value) for name, value in (query or {}).items()})
        request = self.http.build_request("GET", path, params=params, headers={"Accept": "*/*"})
        response = self.call("GET", lambda: self.http.send(request, stream=True))
        try:
            yield _parts(response)
        finally:
            response.close()

    def call(
        self, method: str, send: Callable[[], httpx.Response], *, repeatable: bool = False
    ) -> httpx.Response:
        """Send, repeat where that is safe, and return a 2xx response; else raise why not.

        `repeatable`: the request carries an Idempotency-Key, so that a POST too does nothing twice.
        """
        again = repeatable or method in REPEATABLE
        started = time.monotonic()
        interrupted: UploadInterrupted | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                response = send()
            except httpx.TransportError as error:
                failure: ClientError = GatewayUnreachable(self.config.url, reason(error))
                if method == "POST" and not isinstance(error, NEVER_SENT):
                    interrupted = UploadInterrupted(reason(error))
                if not may_resend_after_error(error, repeatable=again):
                    raise interrupted or failure from error
                wait, budget = None, self._retry.unreachable
            else:
                if response.is_success:
                    return response
                failure = failure_of(response)
                if not may_resend_after_status(response.status_code, repeatable=again):
                    raise failure
                wait, budget = retry_after_seconds(response), self._retry.busy
            pause = self._retry.pause(attempt, wait)
            if time.monotonic() + pause > started + budget:
                # What an earlier attempt brought about is not known, whatever the last one says.
                raise interrupted or failure
            time.sleep(pause)


def failure_of(response: httpx.Response) -> ProblemResponse | UnexpectedResponse:
    """Return the error that an answer other than 2xx means; reads its body."""
    response.read()
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        kind = response.headers.get("content-type", "no content type")
        return UnexpectedResponse(str(response.url), response.status_code, kind)
    return problem_error(problem, retry_after_seconds(response))


def parse(response: httpx.Response, model: type[ModelT]) -> ModelT:
    """Return the answer's body; raises UnexpectedResponse when it is not a `model`."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}"
        raise UnexpectedResponse(str(response.url), response.status_code, why) from error


def reason(error: httpx.TransportError) -> str:
    """Return what went wrong on the line, never empty."""
    return str(error) or type(error).__name__


def _parts(response: httpx.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_bytes()
    except httpx.TransportError as error:
        raise DownloadInterrupted(str(response.url), reason(error)) from error


def _text(value: str | int | float | Sequence[str]) -> str | list[str]:  # noqa: PYI041  # both
    return str(value) if isinstance(value, str | int | float) else list(value)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
