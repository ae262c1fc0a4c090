"""Check-ins of one size: an idle implant sends the same request again and again.

Pings and time queries are of one size by their protocols, which says nothing.
Limit: monitoring agents do the same, hence the small step; padding implants escape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule
from beacon_detect.records import Protocol

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_ALIKE = 0.9
_FIXED_PROTOCOLS = (Protocol.ICMP, Protocol.ICMPV6)
_TIME = (Protocol.UDP, 123)


def _judge(facts: Facts) -> tuple[float, str] | None:
    if facts.size_regularity is None or facts.size_regularity < _ALIKE:
        return None
    if facts.protocol in _FIXED_PROTOCOLS or (facts.protocol, facts.dst_port) == _TIME:
        return None
    return 0.05, f"the check-ins are of one size (regularity {facts.size_regularity:.0%})"


RULE = Rule("size_regularity", 0.0, 0.05, _judge)
