"""Which networks may be scanned: one's own, and not too wide."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from redoubt.model.errors import InputError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_ADDRESSES = 1 << 16
_OWN_V4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, which hosting sites use inside
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
    )
)
_OWN_V6 = tuple(ipaddress.IPv6Network(text) for text in ("::1/128", "fc00::/7", "fe80::/10"))


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks to scan, from "10.0.0.0/22" or single addresses.

    Raises InputError for what is no network, is public, or holds more than 65,536 addresses in all.
    """
    networks = tuple(_parse_network(text) for text in texts)
    if not networks:
        raise InputError("expected networks to scan, such as 10.0.0.0/22")
    total = sum(network.num_addresses for network in networks)
    if total > MOST_ADDRESSES:
        raise InputError(
            f"expected at most {MOST_ADDRESSES} addresses (a /16) in one scan, got {total}"
        )
    return networks


def _parse_network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise InputError(f"expected a network such as 10.0.0.0/22, got {text[:80]!r}") from None
    if not _is_own(network):
        raise InputError(
            f"{network} is not a private network: only one's own is scanned "
            "(10/8, 172.16/12, 192.168/16, 100.64/10, link-local and loopback)"
        )
    return network


def _is_own(network: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return any(network.subnet_of(own) for own in _OWN_V4)
    return any(network.subnet_of(own) for own in _OWN_V6)


def check_own(address: Address) -> Address:
    """Return an address of one's own networks. Raises InputError where it is a public one."""
    if not _is_own(ipaddress.ip_network(address)):
        raise InputError(f"{address} is not a private address: only one's own machines are read")
    return address


def addresses(networks: Iterable[Network]) -> Iterator[str]:
    """Yield every host address once, in order."""
    seen: set[str] = set()
    for network in networks:
        for host in network.hosts():
            text = str(host)
            if text not in seen:
                seen.add(text)
                yield text


def is_loopback(networks: Iterable[Network]) -> bool:
    return all(network.is_loopback for network in networks)
