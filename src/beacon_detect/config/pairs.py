"""Pairs as people write them in a configuration: source, destination and port in one word."""

from __future__ import annotations

import ipaddress


def parse_pair(text: str) -> tuple[str, str, int]:
    """Return (source, destination, port) of ``src:dst:port``; IPv6 addresses in brackets."""
    problem = ValueError("must look like 10.0.0.5:169.254.169.254:80 (IPv6 in brackets)")
    head, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise problem
    if "]:" in head:
        cut = head.index("]:") + 1
    elif head.endswith("]"):
        cut = head.index(":[") if ":[" in head else -1
    else:
        cut = head.find(":")
    if cut < 0:
        raise problem
    source, destination = (side.strip("[]") for side in (head[:cut], head[cut + 1 :]))
    for side in (source, destination):
        try:
            ipaddress.ip_address(side)
        except ValueError:
            raise problem from None
    return source, destination, int(port)
