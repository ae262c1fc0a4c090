"""Known services count where their traffic really goes, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.rules.infrastructure import LOWERED, RULE

TCP, UDP, ICMPV6 = 6, 17, 58
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
        INSIDE | {"dst_port": 443},
    ],
)
def test_a_port_alone_excuses_nothing(facts: Any, known: dict[str, Any]) -> None:
    assert RULE(facts(**known)) is None
