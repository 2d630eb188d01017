"""No form of a non-public address gets a packet to a listener (a real one, that counts)."""

import itertools
import socket
import time
from collections.abc import Iterator, Sequence

import pytest

from shared.net import FetchError, FetchErrorCode, GuardedClient, GuardSettings
from tests.support.listeners import Listener, answering, canary, http_answer, listening

# Forms that the system's own resolver takes to this machine: the canary would count them.
_REACH_CANARY = [
    "127.0.0.1",
    "127.8.9.10",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "localhost",
    "LOCALHOST",
]
# Forms of other networks, and those that only some libraries take for loopback.
_ELSEWHERE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fd00::1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[::ffff:169.254.169.254]",
    "224.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
    "127.0.0.1.",
    "00000127.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.shop.example",
    "4294967297",
    "1e9",
]
_REFUSED = {FetchErrorCode.BLOCKED_ADDRESS, FetchErrorCode.INVALID_URL}


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with canary() as listener:
        yield listener


def _client(listener: Listener, *addresses: str) -> GuardedClient:
    """A client for which the canary's port is an ordinary one, so only the address can block."""
    settings = GuardSettings(ports=frozenset({80, 443, listener.port}))
    if addresses:
        return GuardedClient(settings, lambda _host, _port: addresses)
    return GuardedClient(settings)


def _settled(listener: Listener) -> int:
    """Connections accepted so far, the one that this makes (it comes last) left out."""
    with socket.create_connection(("127.0.0.1", listener.port), 5) as probe:
        assert probe.recv(1) == b""  # accepted and closed: what came earlier was counted earlier
    listener.connections -= 1
    return listener.connections


@pytest.mark.parametrize("form", _REACH_CANARY)
def test_canary_sees_the_form_without_a_guard(listener: Listener, form: str) -> None:
    """The control: each of these forms is dangerous, so refusing it proves something."""
    before = _settled(listener)
    socket.create_connection((form.strip("[]"), listener.port), 5).close()
    assert _settled(listener) == before + 1


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("form", _REACH_CANARY + _ELSEWHERE)
def test_form_sends_no_packet(listener: Listener, form: str, method: str) -> None:
    before = _settled(listener)
    url = f"http://{form}:{listener.port}/latest/meta-data"
    with _client(listener) as client:
        calls = {
            "get": lambda: client.get_bytes(url, 1000, 2),
            "post": lambda: client.post(url, b"{}", {}, 2),
        }
        with pytest.raises(FetchError) as caught:
            calls[method]()
    # "1e9" is a name, if a strange one: it may only fail to resolve.
    assert caught.value.code in _REFUSED or form == "1e9"
    assert _settled(listener) == before


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "127.9.9.9"]
)
def test_name_that_resolves_inside_sends_no_packet(listener: Listener, address: str) -> None:
    before = _settled(listener)
    with _client(listener, address) as client, pytest.raises(FetchError) as caught:
        client.get_bytes(f"http://shop.example:{listener.port}/", 1000, 2)
    assert caught.value.code is FetchErrorCode.BLOCKED_ADDRESS
    assert _settled(listener) == before


def test_redirect_inside_sends_no_packet(listener: Listener) -> None:
    before = _settled(listener)
    for form in [*_REACH_CANARY, "[::ffff:7f00:1]"]:
        target = f"http://{form}:{listener.port}/"
        hop = answering(http_answer(302, Location=target))
        # The first hop listens on an address of its own, the only one that is allowed.
        with listening(hop, "127.0.0.2") as first:
            settings = GuardSettings(
                allowed_hosts=(f"127.0.0.2:{first.port}",),
                ports=frozenset({80, 443, listener.port}),
            )
            with GuardedClient(settings) as client, pytest.raises(FetchError) as caught:
                client.get_bytes(f"{first.url}/photo.jpg", 1000, 2)
            assert first.connections == 1
            assert caught.value.code in _REFUSED
    assert _settled(listener) == before


def test_post_follows_no_redirect(listener: Listener) -> None:
    before = _settled(listener)
    hop = answering(http_answer(307, Location=f"http://127.0.0.1:{listener.port}/"))
    with listening(hop, "127.0.0.2") as first:
        settings = GuardSettings(allowed_hosts=("127.0.0.0/8:*",))
        with GuardedClient(settings) as client:
            assert client.post(first.url, b"{}", {}, 2).status == 307
    assert _settled(listener) == before


class _Rebinding:
    """A name whose address changes with every lookup."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = itertools.cycle(addresses)
        self.lookups = 0

    def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.lookups += 1
        return [next(self._addresses)]


def test_rebinding_name_gets_only_to_the_address_that_was_checked() -> None:
    page = answering(http_answer(200, b"photo", Connection="close"))
    with listening(page, "127.0.0.2") as allowed, canary("127.0.0.1", allowed.port) as inside:
        resolver = _Rebinding("127.0.0.2", "127.0.0.1")
        settings = GuardSettings(
            allowed_hosts=(f"127.0.0.2:{allowed.port}",), ports=frozenset({allowed.port})
        )
        url = f"http://shop.example:{allowed.port}/"
        with GuardedClient(settings, resolver) as client:
            for _ in range(3):
                # The check looks up once and connects to what it found: no second, other answer.
                assert client.get_bytes(url, 1000, 2).body == b"photo"
                with pytest.raises(FetchError) as caught:
                    client.get_bytes(url, 1000, 2)
                assert caught.value.code is FetchErrorCode.BLOCKED_ADDRESS
        assert resolver.lookups == 6
        assert allowed.connections == 3
        assert _settled(inside) == 0


def test_name_with_an_allowed_and_a_blocked_address_reaches_neither() -> None:
    page = answering(http_answer(200, b"photo"))
    with listening(page, "127.0.0.2") as allowed, canary("127.0.0.1", allowed.port) as inside:
        settings = GuardSettings(
            allowed_hosts=(f"127.0.0.2:{allowed.port}",), ports=frozenset({allowed.port})
        )
        both = ["127.0.0.2", "127.0.0.1"]
        with (
            GuardedClient(settings, lambda _host, _port: both) as client,
            pytest.raises(FetchError),
        ):
            client.get_bytes(f"http://shop.example:{allowed.port}/", 1000, 2)
        time.sleep(0.05)
        assert allowed.connections == 0
        assert _settled(inside) == 0


def test_proxy_of_the_environment_is_not_used(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    before = _settled(listener)
    page = answering(http_answer(200, b"photo"))
    with listening(page, "127.0.0.2") as direct:
        settings = GuardSettings(allowed_hosts=(f"127.0.0.2:{direct.port}",))
        with GuardedClient(settings) as client:
            assert client.get_bytes(direct.url, 1000, 2).body == b"photo"
    assert _settled(listener) == before
