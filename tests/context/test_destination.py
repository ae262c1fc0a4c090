"""Address classes are those of the standards; internal is what the operator says."""

from __future__ import annotations

import pytest

from beacon_detect.context.destination import DestinationClass, destination_class, is_near


@pytest.mark.parametrize(
    ("address", "internal", "expected"),
    [
        ("224.0.0.251", False, "multicast"),
        ("239.255.255.250", True, "multicast"),
        ("ff02::1:3", False, "multicast"),
        ("255.255.255.255", False, "broadcast"),
        ("192.168.1.255", True, "broadcast"),
        ("203.0.113.255", False, "external"),
        ("127.0.0.53", False, "loopback"),
        ("::1", False, "loopback"),
        ("169.254.10.1", True, "link-local"),
        ("fe80::1", True, "link-local"),
        ("10.1.2.3", True, "internal"),
        ("fd00::1", True, "internal"),
        ("10.1.2.3", False, "external"),
        ("203.0.113.7", False, "external"),
        ("2001:db8::1", False, "external"),
    ],
)
def test_the_class_of_an_address(address: str, internal: bool, expected: str) -> None:
    assert destination_class(address, internal=internal) == DestinationClass(expected)


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("147.32.1.1", "147.32.200.9", True),
        ("147.32.1.1", "147.33.1.1", False),
        ("2001:db8:1::1", "2001:db8:1:2::9", True),
        ("2001:db8:1::1", "2001:db8:2::1", False),
        ("10.0.0.1", "2001:db8::1", False),
    ],
)
def test_near_is_the_same_first_part(one: str, other: str, near: bool) -> None:
    assert is_near(one, other) is near
    assert is_near(other, one) is near
