"""uvicorn's HTTP protocol with what it lacks: a time limit on request headers.

uvicorn bounds the time between two requests, but a connection that never sends a complete header
would stay for ever; bodies are bounded by the upload guard.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.gateway.http.problems import MALFORMED_REQUEST

# Keys of the lifespan state under which the app leaves what to call when shutdown begins, and the
# seconds that a request header may take.
ON_SHUTDOWN = "on_shutdown"
HEADER_SECONDS = "header_seconds"


class GuardedHttpProtocol(HttpToolsProtocol):
    """Closes connections whose header is not complete within the state's HEADER_SECONDS."""

    _header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first header."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        """Start the clock on a kept connection, whose idle timer ends with the first byte."""
        between_requests = self.cycle is not None and self.cycle.response_complete
        if between_requests and self._header_timer is None:
            self._start_header_timer()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start the clock of a pipelined request's header."""
        super().on_message_begin()
        if self._header_timer is None:
            self._start_header_timer()

    def on_headers_complete(self) -> None:
        """Stop the clock."""
        self._stop_header_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_header_timer()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Tell the app that shutdown begins: long polls answer now instead of delaying it."""
        callback = cast("dict[str, Callable[[], Any]]", self.app_state).get(ON_SHUTDOWN)
        if callback is not None:
            callback()
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a problem as well."""
        kind = MALFORMED_REQUEST
        body = json.dumps(
            {"type": kind.type, "title": kind.title, "status": kind.status, "detail": msg}
        ).encode()
        head = (
            b"content-type: application/problem+json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(STATUS_LINE[kind.status] + head + body)
        self.transport.close()

    def _start_header_timer(self) -> None:
        seconds = cast("float", self.app_state[HEADER_SECONDS])
        self._header_timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
