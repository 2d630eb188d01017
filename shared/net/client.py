"""The guarded HTTP client: fetches what clients' URLs name and posts to their endpoints.

Built on httpcore rather than httpx because only httpcore takes a network backend, which is where
the check and the connection meet: no second name lookup lies between them.
"""

import contextlib
import functools
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpcore
import httpx

from shared.net.connect import GuardedBackend, deadline, remaining
from shared.net.errors import FetchError, FetchErrorCode
from shared.net.guard import Guard, GuardSettings, Resolver, system_resolver

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Idle connections of `get_bytes` that are kept, and for how many seconds.
_KEPT_CONNECTIONS = 16
_KEPT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What `get_bytes` brought."""

    body: bytes
    # As the server sent it, "" without one. Says nothing certain about the body.
    content_type: str
    # Where the redirects ended.
    final_url: str


@dataclass(frozen=True, slots=True)
class Reply:
    """How a server answered `post`; the status may be any."""

    status: int
    # Names in lower case; of a repeated header the last.
    headers: Mapping[str, str]
    # At most GuardSettings.reply_bytes.
    body_start: bytes
    # Seconds from the call to the answer's header.
    latency_s: float


class GuardedClient:
    """A synchronous HTTP client for URLs that clients name. Thread-safe.

    Ignores proxies of the environment: a proxy would resolve names itself, unguarded.
    """

    def __init__(self, settings: GuardSettings, resolve: Resolver = system_resolver) -> None:
        """Raise ValueError when an entry of `settings.allowed_hosts` has no known form."""
        self._settings = settings
        self.guard = Guard(settings, resolve)
        context = _tls_context(settings.ca_file)
        backend = GuardedBackend(self.guard, settings.connect_seconds)
        self._gets = httpcore.ConnectionPool(
            ssl_context=context,
            network_backend=backend,
            max_connections=None,
            max_keepalive_connections=_KEPT_CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
        )
        # Nothing kept: a POST on a connection that its server has just closed cannot be repeated.
        self._posts = httpcore.ConnectionPool(
            ssl_context=context,
            network_backend=backend,
            max_connections=None,
            max_keepalive_connections=0,
        )

    def get_bytes(self, url: str, max_bytes: int, seconds: float) -> Fetched:
        """Fetch `url`, following redirects; `seconds` bounds the whole, name lookups included.

        Raises FetchError with each of its codes; FETCH_TOO_LARGE counts the body as sent and as
        decoded, and is raised before more than `max_bytes` are held.
        """
        with deadline(seconds), _mapped():
            target = self.guard.parse(url)
            for _ in range(self._settings.max_redirects + 1):
                answer = self._get_once(target, max_bytes)
                if isinstance(answer, Fetched):
                    return answer
                target = self.guard.parse(str(answer))
        raise FetchError(
            FetchErrorCode.TOO_MANY_REDIRECTS,
            f"The URL redirects more than {self._settings.max_redirects} times.",
        )

    def _get_once(self, url: httpx.URL, max_bytes: int) -> Fetched | httpx.URL:
        """Return the body, or where to go on."""
        headers = {
            "User-Agent": self._settings.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }
        with self._get_stream(url, headers) as response:
            found = _headers(response)
            location = found.get("location")
            if response.status in _REDIRECTS and location and self._settings.max_redirects:
                return _joined(url, location)
            if not 200 <= response.status <= 299:
                raise FetchError(
                    FetchErrorCode.FETCH_STATUS,
                    f"The server answered with status {response.status}.",
                    response.status,
                )
            body = _read_body(response, found, max_bytes)
            return Fetched(body, found.get("content-type", ""), str(url))

    @contextmanager
    def _get_stream(
        self, url: httpx.URL, headers: Mapping[str, str]
    ) -> Iterator[httpcore.Response]:
        """Send a GET; once more when a kept connection turned out to be closed by its server."""
        try:
            response = self._send(self._gets, "GET", url, headers)
        except (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError):
            response = self._send(self._gets, "GET", url, headers)
        try:
            yield response
        finally:
            response.close()

    def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """Post `body` to `url` and return the answer, whatever its status; redirects are not taken.

        Raises FetchError: INVALID_URL, BLOCKED_ADDRESS, FETCH_TIMEOUT, FETCH_FAILED. An answer
        whose header came is a Reply even when its body stalls.
        """
        started = time.monotonic()
        with deadline(seconds), _mapped():
            target = self.guard.parse(url)
            sent = {
                "User-Agent": self._settings.user_agent,
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "Connection": "close",
                **headers,
            }
            response = self._send(self._posts, "POST", target, sent, body)
            latency = time.monotonic() - started
            try:
                start = _body_start(response, self._settings.reply_bytes)
            finally:
                response.close()
        return Reply(response.status, _headers(response), start, latency)

    def _send(
        self,
        pool: httpcore.ConnectionPool,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> httpcore.Response:
        left = remaining()
        scheme, host, port, target = url.raw_scheme, url.raw_host, url.port, url.raw_path
        all_headers = [(b"Host", url.netloc), *_encoded(headers)]
        if body is not None:
            all_headers.append((b"Content-Length", str(len(body)).encode("ascii")))
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=scheme, host=host, port=port, target=target),
            headers=all_headers,
            content=body,
            extensions={"timeout": {"connect": left, "read": left, "write": left, "pool": left}},
        )
        return pool.handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        self._gets.close()
        self._posts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@functools.cache
def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that verifies; reading the authorities takes some tenths of a second."""
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


@contextmanager
def _mapped() -> Iterator[None]:
    """Turn httpcore's errors into FetchError."""
    try:
        yield
    except httpcore.TimeoutException:
        raise FetchError(
            FetchErrorCode.FETCH_TIMEOUT, "The server did not answer in time."
        ) from None
    except httpcore.ConnectError as error:
        raise FetchError(
            FetchErrorCode.FETCH_FAILED, "The server refused the connection or its TLS failed."
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise FetchError(
            FetchErrorCode.FETCH_FAILED, "The connection broke or the answer is not proper HTTP."
        ) from error


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }


def _joined(url: httpx.URL, location: str) -> httpx.URL:
    # Many servers write UTF-8 where only ASCII may stand; what is none stays Latin-1.
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return url.join(location)
    except (httpx.InvalidURL, ValueError):
        raise FetchError(
            FetchErrorCode.INVALID_URL, "The URL redirects to one that cannot be parsed."
        ) from None


def _too_large(max_bytes: int) -> FetchError:
    return FetchError(FetchErrorCode.FETCH_TOO_LARGE, f"The file has more than {max_bytes} bytes.")


def _read_body(response: httpcore.Response, headers: Mapping[str, str], max_bytes: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    decoder = _Decoder(headers.get("content-encoding", ""))
    parts: list[bytes] = []
    sent = size = 0
    for chunk in response.iter_stream():
        sent += len(chunk)
        part = decoder.decode(chunk, max_bytes + 1 - size)
        size += len(part)
        if max(sent, size) > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
    decoder.finish()
    return b"".join(parts)


_READ_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate"})
_COMPRESSIONS = _READ_COMPRESSIONS | {"br", "compress", "x-compress", "zstd", "dcb", "dcz"}


class _Decoder:
    """Undoes a content encoding that came although none was asked for, within a limit."""

    def __init__(self, encoding: str) -> None:
        # Object stores give back whatever an uploader wrote there: `aws-chunked`, `UTF-8`. What is
        # no compression changes no byte.
        codings = {coding.strip().lower() for coding in encoding.split(",")} & _COMPRESSIONS
        if codings - _READ_COMPRESSIONS:
            raise FetchError(
                FetchErrorCode.FETCH_FAILED, "The server sent a compression nobody asked for."
            )
        # 32: a zlib or a gzip header, whichever is there.
        self._zlib = zlib.decompressobj(32 + 15) if codings else None

    def decode(self, chunk: bytes, limit: int) -> bytes:
        """Return at most `limit` (at least 1) bytes that `chunk` decodes to."""
        if self._zlib is None:
            return chunk
        try:
            return self._zlib.decompress(chunk, limit)
        except zlib.error as error:
            raise _undecodable() from error

    def finish(self) -> None:
        """Raise FetchError when the encoded data ended early."""
        if self._zlib is not None and not self._zlib.eof:
            raise _undecodable()


def _undecodable() -> FetchError:
    return FetchError(FetchErrorCode.FETCH_FAILED, "The server's compressed answer is broken.")


def _body_start(response: httpcore.Response, limit: int) -> bytes:
    start = b""
    try:
        for chunk in response.iter_stream():
            start += chunk[: limit - len(start)]
            if len(start) >= limit:
                break
    except (FetchError, httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return start
    return start
