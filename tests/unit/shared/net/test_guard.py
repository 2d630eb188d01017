"""What the guard says of URLs and of the addresses that names resolve to."""

import threading
from collections.abc import Sequence

import pytest

from shared.net.errors import FetchError, FetchErrorCode
from shared.net.guard import Guard, GuardSettings


def _never(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host} was looked up")


def _code_of(url: str) -> FetchErrorCode:
    with pytest.raises(FetchError) as caught:
        Guard(GuardSettings(), _never).parse(url)
    return caught.value.code


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/photo.jpg",
        "//shop.example/photo.jpg",
        "ftp://shop.example/a",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "data:image/png;base64,AAAA",
        "http://user@shop.example/",
        "http://user:secret@shop.example/",
        "http://",
        "http:///path",
        "http://shop.example:99999/",
        "http://shop.example:x/",
        "http://shop.example/a b",
        "http://shop.example/\r\nHost: other",
        "http://shop.example\\@127.0.0.1/",
        "http://[::1",
        "http://" + "a" * 3000,
    ],
)
def test_url_that_is_no_clean_http_url_is_invalid(url: str) -> None:
    assert _code_of(url) is FetchErrorCode.INVALID_URL


def test_fragment_is_dropped_and_host_lowered() -> None:
    parsed = Guard(GuardSettings(), _never).parse("HTTPS://Shop.Example/a%20b?c=d#e")
    assert str(parsed) == "https://shop.example/a%20b?c=d"


def test_international_name_is_encoded() -> None:
    assert Guard(GuardSettings(), _never).parse("http://bücher.example/").raw_host == (
        b"xn--bcher-kva.example"
    )


def _resolving(*addresses: str, **settings: object) -> Guard:
    return Guard(GuardSettings(**settings), lambda _host, _port: addresses)  # type: ignore[arg-type]


def test_public_addresses_are_returned_in_order() -> None:
    guard = _resolving("2606:4700::1111", "1.1.1.1")
    assert guard.addresses("shop.example", 443, 1) == ["2606:4700::1111", "1.1.1.1"]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_private_address_among_public_ones_blocks_all(position: int) -> None:
    addresses = ["1.1.1.1", "8.8.8.8"]
    addresses.insert(position, "10.0.0.1")
    with pytest.raises(FetchError) as caught:
        _resolving(*addresses).addresses("shop.example", 443, 1)
    assert caught.value.code is FetchErrorCode.BLOCKED_ADDRESS
    assert "10.0.0.1" not in str(caught.value)


def test_unusual_port_is_blocked_unless_an_entry_names_it() -> None:
    with pytest.raises(FetchError) as caught:
        _resolving("1.1.1.1").addresses("shop.example", 22, 1)
    assert caught.value.code is FetchErrorCode.BLOCKED_ADDRESS
    allowed = _resolving("1.1.1.1", allowed_hosts=("shop.example:22",))
    assert allowed.addresses("shop.example", 22, 1) == ["1.1.1.1"]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://LOCALHOST./",
        "http://shop.localhost/",
        "https://shop.example:22/",
        "http://shop.example:8080/",
    ],
)
def test_local_names_and_unusual_ports_are_blocked_without_a_look_up(url: str) -> None:
    assert _code_of(url) is FetchErrorCode.BLOCKED_ADDRESS


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("localhost", "http://localhost/"),
        ("127.0.0.1:8080", "http://localhost:8080/"),
        ("[::1]:*", "http://a.localhost:8080/"),
        ("shop.example:8080", "http://SHOP.example.:8080/"),
        ("shop.example:*", "http://shop.example:8080/"),
        # The name may lead into the network: its look-up decides.
        ("10.0.0.0/8:8080", "http://shop.example:8080/"),
    ],
)
def test_what_an_entry_may_admit_passes_as_it_is_written(entry: str, url: str) -> None:
    Guard(GuardSettings(allowed_hosts=(entry,)), _never).parse(url)


@pytest.mark.parametrize("entry", ["shop.example", "other.example:8080", "10.0.0.0/8"])
def test_an_entry_for_another_host_or_the_usual_ports_admits_no_other_port(entry: str) -> None:
    guard = Guard(GuardSettings(allowed_hosts=(entry,)), _never)
    with pytest.raises(FetchError) as caught:
        guard.parse("http://shop.example:8080/")
    assert caught.value.code is FetchErrorCode.BLOCKED_ADDRESS


def test_name_without_addresses_fails() -> None:
    with pytest.raises(FetchError) as caught:
        _resolving().addresses("shop.example", 80, 1)
    assert caught.value.code is FetchErrorCode.FETCH_FAILED


def test_hanging_resolver_ends_with_the_time_limit() -> None:
    release = threading.Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        release.wait(30)
        return ["1.1.1.1"]

    guard = Guard(GuardSettings(), hang)
    with pytest.raises(FetchError) as caught:
        guard.addresses("shop.example", 80, 0.05)
    release.set()
    assert caught.value.code is FetchErrorCode.FETCH_TIMEOUT


def test_unreadable_allow_list_is_refused_at_once() -> None:
    with pytest.raises(ValueError):
        Guard(GuardSettings(allowed_hosts=("http://x",)))
