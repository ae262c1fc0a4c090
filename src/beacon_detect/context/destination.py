"""Kinds of destination addresses, by the ranges that the standards reserve.

RFC 1112 and 4291 (multicast), 919 (broadcast), 3927 and 4291 (link-local), 1122
(loopback). Which networks are internal is the operator's to say. Limit: the
broadcast address of a subnet is guessed from a last byte of 255 in an internal
network, because nobody sees netmasks on the wire.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import lru_cache

_CACHED = 65_536
_NEAR_BITS = {4: 16, 6: 48}


class DestinationClass(StrEnum):
    """What kind of address a destination is."""

    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    INTERNAL = "internal"
    EXTERNAL = "external"


@lru_cache(maxsize=_CACHED)
def destination_class(address: str, *, internal: bool) -> DestinationClass:
    """Return the class of an address.

    Parameters
    ----------
    address
        IPv4 or IPv6 as text; ValueError when it is neither.
    internal
        Whether it is in one of the operator's networks.
    """
    parsed = ipaddress.ip_address(address)
    if parsed.is_multicast:
        return DestinationClass.MULTICAST
    if parsed.version == 4 and (
        address == "255.255.255.255" or (internal and parsed.packed[3] == 255)
    ):
        return DestinationClass.BROADCAST
    if parsed.is_loopback:
        return DestinationClass.LOOPBACK
    if parsed.is_link_local:
        return DestinationClass.LINK_LOCAL
    return DestinationClass.INTERNAL if internal else DestinationClass.EXTERNAL


@lru_cache(maxsize=_CACHED)
def is_near(one: str, other: str) -> bool:
    """Say whether two addresses share their first 16 bits (IPv4) or 48 bits (IPv6)."""
    first, second = ipaddress.ip_address(one), ipaddress.ip_address(other)
    if first.version != second.version:
        return False
    away = first.max_prefixlen - _NEAR_BITS[first.version]
    return int(first) >> away == int(second) >> away
