"""Outermost middleware: request id, one canonical log line, metrics, and the last resort (500)."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import metrics
from services.gateway.http.facts import RequestFacts, attach_facts
from services.gateway.http.problems import INTERNAL_ERROR, ProblemError
from services.gateway.http.responses import problem_response
from shared.core.logging import get_logger

log = get_logger(__name__)

REQUEST_ID_HEADER = "X-Request-ID"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# nginx's code for a client that went away before its answer; it never reaches anyone.
_CLIENT_GONE = 499


class RequestContext:
    """See the module. Pure ASGI: nothing is buffered, bodies stream through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = RequestFacts(request_id=request_id_of(Headers(scope=scope)))
        attach_facts(scope, facts)
        answer = _Answer(send, facts)
        started = time.perf_counter()
        tokens = structlog.contextvars.bind_contextvars(request_id=facts.request_id)
        metrics.IN_PROGRESS.inc()
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            answer.status = _CLIENT_GONE
        except Exception:
            log.exception("request.crashed", path=scope["path"])
            if answer.status is not None:
                raise  # too late for another answer: the server cuts the connection
            problem = ProblemError(INTERNAL_ERROR, "an unexpected error; it has been logged")
            await problem_response(problem, scope)(scope, receive, answer.send)
        finally:
            metrics.IN_PROGRESS.dec()
            _record(scope, facts, answer.status or 500, time.perf_counter() - started)
            structlog.contextvars.reset_contextvars(**tokens)


def request_id_of(headers: Headers) -> str:
    """Return the caller's request id when it is sane, else a new one."""
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _SANE_ID.fullmatch(given) else str(uuid4())


class _Answer:
    """Adds the request id and the request's own headers, and remembers the status."""

    def __init__(self, send: Send, facts: RequestFacts) -> None:
        self._send = send
        self._facts = facts
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID_HEADER] = self._facts.request_id
            headers.update(self._facts.headers)
        await self._send(message)


def _record(scope: Scope, facts: RequestFacts, status: int, seconds: float) -> None:
    # The template, not the path: ids in it would make a time series each.
    route = getattr(scope.get("route"), "path", "unmatched")
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    metrics.REQUESTS.labels(method, route, str(status)).inc()
    metrics.DURATION.labels(method, route).observe(max(0.0, seconds - facts.waited_seconds))
    metrics.BYTES_IN.inc(facts.bytes_in)
    log.info(
        "request.finished",
        method=method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        **facts.log_fields(),
    )
