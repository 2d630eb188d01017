"""Middleware that limits bytes and time of request bodies, before anything parses them.

Limits hold for bodies with Content-Length and for chunked ones: bytes are counted as they come.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.http.facts import RequestFacts, facts_of
from services.gateway.http.problems import TOO_LARGE, UPLOAD_TIMEOUT, ProblemError
from services.gateway.http.responses import problem_response

# After an answer that comes before the body has ended, the rest is read and dropped for a moment:
# closing at once would reset the connection, and the client might never see the answer.
LINGER_SECONDS = 2.0
LINGER_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits on request bodies."""

    # Bytes of a body by path; of every other path, `other_bytes`.
    bytes_by_path: Mapping[str, int]
    other_bytes: int
    # Seconds without a byte, and for the whole body.
    idle_seconds: float
    total_seconds: float


class UploadGuard:
    """See the module. Raises ProblemError (`too-large`, `upload-timeout`) out of `receive`."""

    def __init__(self, app: ASGIApp, limits: UploadLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        max_bytes = self._limits.bytes_by_path.get(scope["path"], self._limits.other_bytes)
        body = _Body(receive, send, headers, max_bytes, self._limits, facts_of(scope))
        if scope["path"] in self._limits.bytes_by_path and body.declared > max_bytes:
            await problem_response(_too_large(max_bytes), scope)(scope, receive, body.send)
            return
        await self._app(scope, body.receive, body.send)


class _Body:
    """One request's body on its way in, and the connection's fate on the way out."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        headers: Headers,
        max_bytes: int,
        limits: UploadLimits,
        facts: RequestFacts,
    ) -> None:
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._limits = limits
        self._facts = facts
        self._deadline = time.monotonic() + limits.total_seconds
        self.declared = int(headers.get("content-length", 0))
        self._complete = not self.declared and "transfer-encoding" not in headers
        self._lingering = False

    async def receive(self) -> Message:
        if self._complete:  # what follows can only be the disconnect, which may take long
            return await self._receive()
        left = self._deadline - time.monotonic()
        try:
            async with asyncio.timeout(min(self._limits.idle_seconds, left)):
                message = await self._receive()
        except TimeoutError as error:
            raise ProblemError(UPLOAD_TIMEOUT, _timeout_detail(self._limits)) from error
        if message["type"] == "http.request":
            self._facts.bytes_in += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._facts.bytes_in > self._max_bytes:
                raise _too_large(self._max_bytes)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._complete:
            self._lingering = True
            MutableHeaders(scope=message)["Connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not (last and self._lingering):
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        await self._linger()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _linger(self) -> None:
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while dropped < LINGER_BYTES:
                    message = await self._receive()
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
                    dropped += len(message.get("body", b""))


def _too_large(max_bytes: int) -> ProblemError:
    return ProblemError(TOO_LARGE, f"the request body may have at most {max_bytes} bytes")


def _timeout_detail(limits: UploadLimits) -> str:
    return (
        f"the body must not pause for {limits.idle_seconds:g} s"
        f" and must arrive within {limits.total_seconds:g} s"
    )
