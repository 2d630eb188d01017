"""httpcore's network backend with the guard in it: connects to the very address it checked."""

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

from shared.net.errors import FetchError, FetchErrorCode
from shared.net.guard import Guard

# When the calling thread's request must be over, by time.monotonic. httpcore's own limits are per
# read, so that a server which sends a byte now and then would hold a thread for ever.
_DEADLINE: ContextVar[float] = ContextVar("deadline")


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound everything that the calling thread does on guarded connections."""
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def remaining() -> float:
    """Return the seconds left; raises FetchError (FETCH_TIMEOUT) when there are none."""
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise FetchError(FetchErrorCode.FETCH_TIMEOUT, "The server did not answer in time.")
    return left


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to checked addresses only; TLS and Host keep the name of the URL."""

    def __init__(self, guard: Guard, connect_seconds: float) -> None:
        self._guard = guard
        self._connect_seconds = connect_seconds
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the deadline is nearer
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of `host` that answers.

        Raises FetchError, and httpcore's ConnectError or ConnectTimeout.
        """
        until = time.monotonic() + min(self._connect_seconds, remaining())
        addresses = self._guard.addresses(host, port, until - time.monotonic())
        failure: Exception = httpcore.ConnectTimeout()
        for tried, address in enumerate(addresses):
            left = until - time.monotonic()
            if left <= 0:
                break
            share = left / (len(addresses) - tried)
            try:
                stream = self._plain.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream)
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline of the thread that uses it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        # Not SyncStream's: it allows the whole limit to every piece that the server lets in.
        sock = self._stream.get_extra_info("socket")
        view = memoryview(buffer)
        while view:
            sock.settimeout(remaining())
            try:
                view = view[sock.send(view) :]
            except TimeoutError as error:
                raise httpcore.WriteTimeout from error
            except OSError as error:
                raise httpcore.WriteError from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, remaining()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
