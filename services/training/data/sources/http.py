"""Downloads of single photos: https only, bounded in size and time, with retries."""

import ipaddress
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

import httpx

from services.training.errors import TrainingError

_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_SECONDS = 60.0
# Left as they are (RFC 3986); others, such as spaces in file names, are percent-encoded.
_URL_CHARACTERS = ":/?@!$&'()*+,;=%~"


class SourceError(TrainingError):
    """A photo cannot be had from its source; the message says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one download may take."""

    max_bytes: int = 64 * 2**20
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 180.0
    attempts: int = 4
    # Pause before the second attempt; it doubles with each further one.
    pause_seconds: float = 1.0


class HttpSource:
    """A connection pool for public photos; safe to share between threads.

    `plain_http_hosts` names hosts that may be asked without TLS. It is for tests against a server
    on this machine; nothing else sets it.
    """

    def __init__(
        self, limits: Limits | None = None, plain_http_hosts: frozenset[str] = frozenset()
    ) -> None:
        self._limits = limits or Limits()
        self._plain = plain_http_hosts
        timeout = httpx.Timeout(self._limits.read_seconds, connect=self._limits.connect_seconds)
        # A redirect could lead anywhere: a source that moved is told as a failure.
        self._client = httpx.Client(timeout=timeout, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, url: str) -> bytes:
        """Return the body. Raises SourceError after the last attempt, or at once if hopeless."""
        self._refuse_private(url)
        pause = self._limits.pause_seconds
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return self._once(url)
            except _TryAgain as error:
                if attempt == self._limits.attempts:
                    raise SourceError(f"{error} ({attempt} attempts)") from error
                time.sleep(min(max(pause, error.pause), _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise SourceError("no attempt is allowed")

    def _refuse_private(self, url: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in self._plain:
            return
        if parts.scheme != "https":
            raise SourceError("only https:// is fetched")
        if _is_address(host) or "." not in host:
            raise SourceError(f"{host!r} is not a public host name")

    def _once(self, url: str) -> bytes:
        deadline = time.monotonic() + self._limits.total_seconds
        try:
            with self._client.stream("GET", quote(url, safe=_URL_CHARACTERS)) as response:
                _check(response)
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > self._limits.max_bytes:
                        raise SourceError(f"is larger than {self._limits.max_bytes} bytes")
                    if time.monotonic() > deadline:
                        raise _TryAgain(f"took longer than {self._limits.total_seconds:.0f} s")
                return bytes(body)
        except httpx.HTTPError as error:
            raise _TryAgain(f"{type(error).__name__}: {error}".rstrip(": ")) from error


class _TryAgain(Exception):
    """The failure may pass; `pause` is how many seconds the server asks to wait."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if status in _RETRY_STATUS:
        wait = response.headers.get("retry-after", "")
        raise _TryAgain(f"HTTP {status}", float(wait) if wait.isdigit() else 0.0)
    if status != httpx.codes.OK:
        raise SourceError(f"HTTP {status}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
