"""Known services count where their traffic really goes, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.context import Facts
from beacon_detect.context.rules.infrastructure import LOOKUPS_ALIKE, LOWERED, PINGS, RULE

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
INSIDE = {"dst": "10.0.0.1", "dst_internal": True}


@pytest.mark.parametrize(
    ("known", "word"),
    [
        ({"dst": "192.0.2.9", "dst_port": 123, "protocol": UDP}, "NTP"),
        ({"dst": "239.255.255.250", "dst_port": 1900, "protocol": UDP}, "SSDP"),
        ({"dst": "224.0.0.251", "dst_port": 5353, "protocol": UDP}, "mDNS"),
        ({"dst": "ff02::1:3", "dst_port": 5355, "protocol": UDP}, "LLMNR"),
        ({"dst": "10.0.0.255", "dst_internal": True, "dst_port": 137, "protocol": UDP}, "NetBIOS"),
        ({"dst": "255.255.255.255", "dst_port": 67, "protocol": UDP}, "DHCP"),
        ({"dst": "ff02::1:2", "dst_port": 547, "protocol": UDP}, "DHCPv6"),
        (INSIDE | {"dst_port": 88, "protocol": TCP}, "Kerberos"),
        (INSIDE | {"dst_port": 53, "protocol": UDP}, "DNS"),
        (INSIDE | {"dst_port": 853, "protocol": TCP}, "TLS"),
        (INSIDE | {"dst_port": 135, "protocol": TCP}, "RPC"),
        (INSIDE | {"dst_port": 389, "protocol": TCP}, "LDAP"),
        ({"dst": "8.8.8.8", "dst_port": 53, "protocol": UDP}, "DNS"),
        ({"dst": "ff02::2", "dst_port": 133, "protocol": ICMPV6}, "solicitation"),
        ({"dst_port": 80, "name": "Connectivitycheck.gstatic.com."}, "network is up"),
        ({"dst": "169.254.169.254", "dst_port": 80}, "metadata"),
        ({"dst": "17.57.146.22", "dst_port": 5223}, "push"),
        ({"dst": "2620:149:a44::7", "dst_port": 5223}, "push"),
        ({"dst_port": 5228, "name": "mtalk.google.com"}, "push"),
        (
            {"src": "203.0.1.1", "src_internal": False, "dst_port": 53, "protocol": UDP},
            "DNS",
        ),
    ],
)
def test_services_that_everybody_polls(facts: Any, known: dict[str, Any], word: str) -> None:
    said = RULE(facts(**known))

    assert said is not None
    assert said.delta == LOWERED
    assert word in said.reason


@pytest.mark.parametrize(
    "known",
    [
        {"dst_port": 53, "protocol": UDP},
        {"dst_port": 853, "protocol": TCP},
        {"dst_port": 88, "protocol": TCP},
        {"dst_port": 1900, "protocol": UDP},
        {"dst_port": 5353, "protocol": UDP},
        {"dst_port": 135, "protocol": TCP},
        {"dst_port": 123, "protocol": TCP},
        {"dst_port": 80, "name": "example.com"},
        {"dst_port": 443, "name": "captive.apple.com"},
        {"dst": "17.57.146.22", "dst_port": 443},
        {"dst_port": 5223},
        {"dst_port": 443, "name": "mtalk.google.com"},
        {"protocol": ICMP, "dst_port": 0},
        {"protocol": ICMP, "dst_port": 0, "size_regularity": 0.6},
        INSIDE | {"dst_port": 443},
    ],
)
def test_a_port_alone_excuses_nothing(facts: Any, known: dict[str, Any]) -> None:
    assert RULE(facts(**known)) is None


@pytest.mark.parametrize("protocol", [ICMP, ICMPV6])
def test_pings_of_one_size_are_pings(facts: Any, protocol: int) -> None:
    said = RULE(facts(protocol=protocol, dst_port=8, size_regularity=0.95))

    assert said is not None
    assert said.delta == PINGS


def lookups(alike: float | None, port: int = 53) -> float:
    said = RULE(Facts("10.0.0.5", "10.0.0.1", port, UDP, dst_internal=True, size_regularity=alike))
    assert said is not None
    return said.delta


def test_lookups_of_one_length_are_excused_little_and_others_fully() -> None:
    assert lookups(None) == lookups(0.0) == lookups(0.5) == LOWERED
    assert lookups(0.8) == lookups(1.0) == LOOKUPS_ALIKE


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_more_alike_lookups_are_the_less_they_are_excused(one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert LOWERED <= lookups(low) <= lookups(high) <= LOOKUPS_ALIKE


def test_lookups_over_tls_are_padded_to_one_length_and_excused() -> None:
    assert lookups(1.0, port=853) == LOWERED
