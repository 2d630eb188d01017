"""The gateway's client: every call of the API, typed by its wire schemas."""

from typing import Self

import httpx

from shared.client.catalogs import Catalogs
from shared.client.config import ClientConfig
from shared.client.drift import Drift
from shared.client.errors import GatewayUnreachable, UnexpectedResponse
from shared.client.images import Images
from shared.client.jobs import Jobs
from shared.client.keys import Keys
from shared.client.retry import RetryPolicy
from shared.client.transport import Transport, failure_of, parse, reason
from shared.client.webhooks import Webhooks
from shared.contracts.wire.jobs import Health

_PROBE_SECONDS = 5.0


class DetectorClient:
    """Calls one gateway with one key; close it, or use it in a `with` block. Thread-safe.

    `jobs`, `images`, `catalogs`, `webhooks`, `keys` and `drift` hold the calls. They raise
    GatewayUnreachable, UploadInterrupted, ProblemResponse or UnexpectedResponse, all of them
    ClientError, and are repeated within `retry` where that is safe.
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
        transport = Transport(config, connections, timeout_seconds, retry or RetryPolicy())
        self._transport = transport
        self.jobs = Jobs(transport)
        self.images = Images(transport)
        self.catalogs = Catalogs(transport)
        self.webhooks = Webhooks(transport)
        self.keys = Keys(transport)
        self.drift = Drift(transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def health(self) -> Health:
        """Return what the gateway says of itself and its servers, also when it is not ready.

        Asked once, without retries. Raises GatewayUnreachable or UnexpectedResponse.
        """
        response = self.probe("/health/ready")
        if response.is_success:
            return parse(response, Health)
        failure = failure_of(response)
        if isinstance(failure, UnexpectedResponse):
            raise failure
        checks = failure.problem.checks or {}
        return Health(status="unavailable", version="", checks=checks)

    def probe(self, path: str) -> httpx.Response:
        """GET `path` once, without retries, and return the answer whatever its status.

        For health pages and diagnosis. Raises GatewayUnreachable.
        """
        try:
            return self._transport.http.get(path, timeout=_PROBE_SECONDS)
        except httpx.TransportError as error:
            raise GatewayUnreachable(self.config.url, reason(error)) from error
