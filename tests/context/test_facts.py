"""What is local: the network's own addresses, and the neighbourhood of public sources."""

from __future__ import annotations

from typing import Any

import pytest

from beacon_detect.context.destination import DestinationClass


@pytest.mark.parametrize(
    ("known", "local"),
    [
        ({}, False),
        ({"dst": "10.0.0.1", "dst_internal": True}, True),
        ({"dst": "224.0.0.251"}, True),
        ({"src": "203.0.200.1", "src_internal": False}, True),
        ({"src": "198.51.100.1", "src_internal": False}, False),
        ({"src": "203.0.113.9", "src_internal": True}, False),
    ],
)
def test_is_local(facts: Any, known: dict[str, Any], local: bool) -> None:
    assert facts(**known).is_local is local


def test_the_class_is_that_of_the_destination(facts: Any) -> None:
    assert facts(dst="ff02::fb").dst_class is DestinationClass.MULTICAST


@pytest.mark.parametrize(
    ("port", "protocol", "lookup"),
    [(53, 17, True), (53, 6, True), (853, 6, True), (53, 1, False), (443, 6, False)],
)
def test_is_lookup(facts: Any, port: int, protocol: int, lookup: bool) -> None:
    assert facts(dst_port=port, protocol=protocol).is_lookup is lookup
