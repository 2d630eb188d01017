"""Which URLs and addresses a guarded client may use: every decision, apart from the connecting."""

import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import httpx

from shared.net.addresses import Address, AllowList, is_public
from shared.net.errors import FetchError, FetchErrorCode

# Name and port to addresses, in the order to try them. Raises OSError when there is none.
Resolver = Callable[[str, int], Sequence[str]]

MAX_URL_LENGTH = 2048
_LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What IDNA leaves of a name; percent-encoding, for one, means something else to every library.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)
# A host whose last label is a number is an address (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_NUMERIC_HOST = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9a-fA-F]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """What a guarded client may do. All times in seconds, sizes in bytes."""

    # Hosts that may be non-public or listen on other ports; see `AllowList` for the forms.
    allowed_hosts: tuple[str, ...] = ()
    # Ports of public hosts.
    ports: frozenset[int] = frozenset({80, 443})
    # Hops of `get_bytes`; each is checked like the first URL. 0: a redirect is a failure.
    max_redirects: int = 3
    # Of the total, what connecting (and TLS) to all of a host's addresses may take.
    connect_seconds: float = 5.0
    # Bytes of an answer to `post` that are kept.
    reply_bytes: int = 4096
    # Further certificate authorities (PEM), beside the usual ones.
    ca_file: Path | None = None
    user_agent: str = "ai-product-photo-detector"


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Return the addresses that the system's resolver gives for `host`; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Checks URLs and resolves hosts to addresses that may be connected to. Thread-safe."""

    def __init__(self, settings: GuardSettings, resolve: Resolver = system_resolver) -> None:
        """Raise ValueError when an entry of `allowed_hosts` has no known form."""
        self._settings = settings
        self._allowed = AllowList(settings.allowed_hosts)
        self._resolve = resolve

    def parse(self, url: str) -> httpx.URL:
        """Return `url` normalised, without a fragment, with its host judged as far as written.

        Raises FetchError: INVALID_URL for anything but a clean http(s) URL, BLOCKED_ADDRESS for a
        host that is an address which may not be reached, for `localhost` likewise, and for a port
        that is not allowed whatever the host's address. Names are judged when they are resolved.
        """
        if len(url) > MAX_URL_LENGTH:
            raise _invalid(f"The URL is longer than {MAX_URL_LENGTH} characters.")
        if any(ord(char) <= 0x20 or ord(char) == 0x7F or char == "\\" for char in url):
            raise _invalid("The URL holds a space, a control character or a backslash.")
        try:
            parsed = httpx.URL(url).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise _invalid("The URL cannot be parsed.") from None
        if parsed.scheme not in _DEFAULT_PORTS:
            raise _invalid("The URL must begin with http:// or https://.")
        if parsed.userinfo:
            raise _invalid("The URL must not hold a user name or password.")
        if parsed.port is not None and not 0 < parsed.port <= 65535:
            raise _invalid("The URL's port is not one.")
        host = parsed.raw_host.decode("ascii")
        if not host:
            raise _invalid("The URL has no host.")
        if ":" not in host and not _NAME.fullmatch(host):
            raise _invalid("The URL's host is not a proper name.")
        self._check_written_host(host, port_of(parsed))
        return parsed

    def _check_written_host(self, host: str, port: int) -> None:
        try:
            address = ip_address(host)
        except ValueError:
            if _NUMERIC_HOST.fullmatch(host.rstrip(".")):
                # Decimal, octal, hexadecimal and shortened forms: libraries disagree on them.
                raise _blocked("The host is not an address in its usual form.") from None
            self._check_written_name(host.lower().rstrip("."), port)
        else:
            self._check_address(host, address, port)

    def _check_written_name(self, name: str, port: int) -> None:
        ports = self._settings.ports
        # Names of this machine, by definition (RFC 6761, section 6.3).
        if name == "localhost" or name.endswith(".localhost"):
            if not any(self._allowed.admits(name, each, port, ports) for each in _LOOPBACK):
                raise _blocked("The host is not at a public address.")
        elif port not in ports and not self._allowed.may_admit(name, port, ports):
            raise _blocked(f"Port {port} is not allowed.")

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """Return the addresses of `host` to connect to on `port`, every one of them checked.

        Raises FetchError: BLOCKED_ADDRESS when any of them may not be reached (a name that mixes
        public and private addresses is an attack or a mistake), FETCH_TIMEOUT, FETCH_FAILED.
        """
        self._check_written_host(host, port)
        found = self._resolve_within(host, port, seconds)
        if not found:
            raise FetchError(FetchErrorCode.FETCH_FAILED, "The host has no address.")
        for text in found:
            self._check_address(host, ip_address(text), port)
        return found

    def _check_address(self, host: str, address: Address, port: int) -> None:
        ports = self._settings.ports
        if self._allowed.admits(host.lower().rstrip("."), address, port, ports):
            return
        if not is_public(address):
            raise _blocked("The host is not at a public address.")
        if port not in ports:
            raise _blocked(f"Port {port} is not allowed.")

    def _resolve_within(self, host: str, port: int, seconds: float) -> list[str]:
        """Resolve in a thread of its own: the system's resolver has no time limit.

        A pool would do worse: names that hang would hold up every other one.
        """
        answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

        def resolve() -> None:
            try:
                answers.put(list(self._resolve(host, port)))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        try:
            answer = answers.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            raise FetchError(
                FetchErrorCode.FETCH_TIMEOUT, "The host's name was not resolved in time."
            ) from None
        if isinstance(answer, list):
            return answer
        raise FetchError(FetchErrorCode.FETCH_FAILED, "The host's name cannot be resolved.")


def port_of(url: httpx.URL) -> int:
    """Return the port that `url` names or that its scheme implies."""
    return url.port if url.port is not None else _DEFAULT_PORTS[url.scheme]


def _invalid(detail: str) -> FetchError:
    return FetchError(FetchErrorCode.INVALID_URL, detail)


def _blocked(detail: str) -> FetchError:
    return FetchError(FetchErrorCode.BLOCKED_ADDRESS, detail)
