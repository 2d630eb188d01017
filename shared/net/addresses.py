"""Which IP addresses are public, and which non-public ones an operator allows.

Sources: the IANA special-purpose address registries (RFC 6890, as of 2026-11), RFC 6052 (NAT64),
RFC 4291 (IPv4-mapped). The tables are our own because `ipaddress.is_global` answers differently
from one Python patch release to the next.
"""

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Sources: https://www.iana.org/assignments/iana-ipv4-special-registry and …ipv6….
_NOT_PUBLIC_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with the clouds' metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved and broadcast
    )
)
# Everything outside this is loopback, link-local, unique local, multicast, NAT64 or unassigned.
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo (2001::/32) and its embedded IPv4
        "2001:db8::/32",
        "2002::/16",  # 6to4, embeds an IPv4 address
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Tell whether `address` may be reached on behalf of a client.

    IPv4-mapped and NAT64 addresses end at the IPv4 address that they embed, so that one decides.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    if address not in _GLOBAL_UNICAST_6:
        return False
    return not any(address in network for network in _NOT_PUBLIC_6)


def unmapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one stands for, else `address` itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


_ANY_PORT = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    # Exactly one of the two is set.
    host: str | None
    network: Network | None
    # None: the usual ports only.
    port: int | None

    def admits(self, host: str, address: Address, port: int, usual_ports: AbstractSet[int]) -> bool:
        named = address in self.network if self.network is not None else host == self.host
        return named and self.admits_port(port, usual_ports)

    def admits_port(self, port: int, usual_ports: AbstractSet[int]) -> bool:
        return port in usual_ports if self.port is None else self.port in {_ANY_PORT, port}


class AllowList:
    """Hosts that may lie at non-public addresses or listen on unusual ports.

    Entries are `host`, `host:port`, `host:*`, and the same with an address or a CIDR network for
    the host (IPv6 with a port in brackets: `[fd00::/8]:9000`). Without a port an entry admits the
    usual ports only. A network admits by address, whatever name led there; a name admits the URLs
    that have it as their host.

    Raises ValueError on an entry that is none of these.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(_parse(entry) for entry in entries)

    def admits(self, host: str, address: Address, port: int, usual_ports: AbstractSet[int]) -> bool:
        """Tell whether URLs with `host` may reach `address` on `port`, public or not."""
        address = unmapped(address)
        return any(entry.admits(host, address, port, usual_ports) for entry in self._entries)

    def may_admit(self, host: str, port: int, usual_ports: AbstractSet[int]) -> bool:
        """Tell whether `port` of the name `host` can be admitted, whatever address it leads to."""
        return any(
            entry.admits_port(port, usual_ports)
            for entry in self._entries
            if entry.network is not None or entry.host == host
        )


_ENTRY = re.compile(
    r"""(?: \[ (?P<six> [0-9a-fA-F:.]+ (?:/\d+)? ) \]
          | (?P<plain_six> [0-9a-fA-F.]* : [0-9a-fA-F.]* : [0-9a-fA-F:.]* (?:/\d+)? )
          | (?P<four> \d+\.\d+\.\d+\.\d+ (?:/\d+)? )
          | (?P<host> [A-Za-z0-9_] [A-Za-z0-9_.-]* )
        ) (?: : (?P<port> \d+ | \* ) )?""",
    re.VERBOSE,
)


def _parse(entry: str) -> _Entry:
    match = _ENTRY.fullmatch(entry.strip())
    if match is None:
        raise ValueError(f"not a host, an address or a network: {entry!r}")
    port = match["port"]
    number = None if port is None else _ANY_PORT if port == "*" else int(port)
    if number is not None and not 0 <= number <= 65535:
        raise ValueError(f"not a port: {entry!r}")
    network = match["six"] or match["plain_six"] or match["four"]
    if network:
        return _Entry(None, ip_network(network, strict=True), number)
    return _Entry(match["host"].lower().rstrip("."), None, number)
