"""Which addresses are public, and which an allow-list admits."""

from ipaddress import ip_address

import pytest

from shared.net.addresses import AllowList, is_public

_USUAL = frozenset({80, 443})

_NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("text", _NOT_PUBLIC)
def test_special_addresses_are_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_ordinary_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    ("entry", "host", "address", "port", "admitted"),
    [
        ("10.0.0.0/8", "cdn.example", "10.9.8.7", 80, True),
        ("10.0.0.0/8", "cdn.example", "::ffff:10.9.8.7", 80, True),
        ("10.0.0.0/8", "cdn.example", "11.0.0.1", 80, False),
        ("10.0.0.0/8", "cdn.example", "10.9.8.7", 9000, False),
        ("10.0.0.0/8:9000", "cdn.example", "10.9.8.7", 9000, True),
        ("10.0.0.0/8:9000", "cdn.example", "10.9.8.7", 80, False),
        ("10.0.0.0/8:*", "cdn.example", "10.9.8.7", 12345, True),
        ("127.0.0.1:8080", "127.0.0.1", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", "127.0.0.2", 8080, False),
        ("photos.internal", "photos.internal", "10.0.0.1", 443, True),
        ("Photos.Internal.", "photos.internal", "10.0.0.1", 443, True),
        ("photos.internal", "evil.photos.internal", "10.0.0.1", 443, False),
        ("photos.internal", "photos.internal", "10.0.0.1", 8080, False),
        ("photos.internal:*", "photos.internal", "10.0.0.1", 8080, True),
        ("fd00::/8", "x.example", "fd00::1", 80, True),
        ("[fd00::/8]:9000", "x.example", "fd00::1", 9000, True),
        ("[fd00::/8]:9000", "x.example", "fe80::1", 9000, False),
        ("::1", "::1", "::1", 80, True),
    ],
)
def test_allow_list_admits_what_its_entry_says(
    entry: str, host: str, address: str, port: int, admitted: bool
) -> None:
    assert AllowList([entry]).admits(host, ip_address(address), port, _USUAL) is admitted


@pytest.mark.parametrize(
    "entry", ["", "*", "http://x", "10.0.0.1/8", "a b", "host:99999", "10.0.0.0/64", "host:", "-x"]
)
def test_allow_list_refuses_what_it_cannot_read(entry: str) -> None:
    with pytest.raises(ValueError):
        AllowList([entry])
