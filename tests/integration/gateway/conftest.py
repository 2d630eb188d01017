"""Gateways on real servers, each a real uvicorn, in a thread of the test process."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from services.gateway.app import create_app
from services.gateway.http.protocol import GuardedHttpProtocol
from services.gateway.openapi import document as openapi
from services.gateway.settings import GatewaySettings
from shared.contracts.scopes import Scope
from shared.db.engine import make_engine, make_session_factory
from shared.db.tenants.keys import create_key, get_or_create_tenant
from tests.support.servers import WEBHOOK_KEY, Servers, drop, provide

# Small, so that tests reach them fast.
SMALL = {
    "gateway_max_image_bytes": 200_000,
    "gateway_max_request_bytes": 1_000_000,
    "gateway_upload_idle_seconds": 1.0,
    "gateway_upload_total_seconds": 2.0,
    "gateway_header_seconds": 2.0,
    "gateway_predict_seconds": 20.0,
    # So long that only a notification can wake a wait in time.
    "gateway_wait_recheck_seconds": 60.0,
    "s3_timeout_seconds": 2.0,
    "webhook_secret_keys": WEBHOOK_KEY,
}


class RunningGateway:
    """One gateway, its tenant's key and its database."""

    def __init__(self, port: int, servers: Servers, engine: Engine) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.servers = servers
        self.engine = engine
        self.sessions = make_session_factory(engine)
        self.key = self.new_key("shop", [Scope.JOBS_WRITE, Scope.JOBS_READ])

    def new_key(self, tenant: str, scopes: list[Scope]) -> str:
        with self.sessions.begin() as session:
            return create_key(session, get_or_create_tenant(session, tenant), "test", scopes)

    def client(self, key: str | None = None) -> httpx.Client:
        """Return a client that insists on answers being documented."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key or self.key}"},
            timeout=40.0,
            verify=False,  # plain HTTP: reading the certificates would take longest
            event_hooks={"response": [self._check_documented]},
        )

    def _check_documented(self, response: httpx.Response) -> None:
        document = self._document()
        assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", response.headers["x-request-id"])
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
        for template, operations in document["paths"].items():
            pattern = re.sub(r"\{\w+\}", "[^/]+", template)
            operation = operations.get(response.request.method.lower())
            if operation and re.fullmatch(pattern, response.request.url.path):
                assert str(response.status_code) in operation["responses"], response.status_code
                return

    def _document(self) -> dict[str, Any]:
        if not hasattr(self, "_openapi"):
            self._openapi = httpx.get(f"{self.url}/openapi.json").json()
        return self._openapi


@contextmanager
def run_gateway(servers: Servers, **overrides: Any) -> Iterator[RunningGateway]:
    """Run a gateway over `servers`; `overrides` are settings."""
    values = {**servers.settings().model_dump(), **SMALL, **overrides}
    settings = GatewaySettings(**values)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host="127.0.0.1",
            port=0,
            http=GuardedHttpProtocol,
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_keep_alive=settings.gateway_keep_alive_seconds,
            timeout_graceful_shutdown=settings.gateway_shutdown_seconds,
        )
    )
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    engine = make_engine(servers.database_url, pool_size=4)
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield RunningGateway(port, servers, engine)
    finally:
        server.should_exit = True
        thread.join(40)
        engine.dispose()
        assert not thread.is_alive(), "the gateway did not stop"


@pytest.fixture(scope="session", autouse=True)
def one_document() -> Iterator[None]:
    """Build the OpenAPI document once: it is most of a start's work, and the same each time."""
    built: list[dict[str, Any]] = []
    build = openapi._document

    def once(app: FastAPI) -> dict[str, Any]:
        if not built:
            built.append(build(app))
        return built[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openapi, "_document", once)
        yield


@pytest.fixture(scope="module", autouse=True)
def captured_logs() -> Iterator[None]:
    """Send structlog's lines through the standard library, where pytest captures warnings."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def own_servers(server_stack) -> Iterator[Servers]:
    """Servers shared by the tests of one module."""
    own = provide(server_stack)
    yield own
    drop(own)


@pytest.fixture(scope="module")
def gateway(own_servers) -> Iterator[RunningGateway]:
    """A gateway shared by the tests of one module."""
    with run_gateway(own_servers) as running:
        yield running


@pytest.fixture
def client(gateway) -> Iterator[httpx.Client]:
    """A client with the shop's key."""
    with gateway.client() as client:
        yield client


@pytest.fixture
def start_gateway(own_servers):
    """A function that runs a gateway with settings of the test's own."""

    @contextmanager
    def start(**overrides: Any) -> Iterator[RunningGateway]:
        with run_gateway(own_servers, **overrides) as running:
            yield running

    return start
