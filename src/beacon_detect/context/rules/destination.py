"""Where the traffic goes: groups and neighbours cannot be a command server far away.

Multicast and broadcast have no single receiver to take orders from. Internal
destinations are only lowered a little: implants do relay through neighbours, and a
resolver is not even that, for it passes on what it is asked. What outside hosts
open towards the inside is a scan, a probe or a visit: implants call out. Limit: a
web shell that is polled from outside looks like such a visit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule
from beacon_detect.context.destination import DestinationClass

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_SAID = {
    DestinationClass.MULTICAST: (-0.7, "goes to a multicast group, which nobody commands from"),
    DestinationClass.BROADCAST: (-0.7, "goes to a broadcast address, which nobody commands from"),
    DestinationClass.LOOPBACK: (-0.4, "stays on this machine"),
    DestinationClass.LINK_LOCAL: (-0.3, "stays on the local link"),
}
_FROM_OUTSIDE = (-0.3, "is opened from outside towards the inside, and implants call out")
_INSIDE = (-0.1, "stays inside the network")


def _judge(facts: Facts) -> tuple[float, str] | None:
    kind = facts.dst_class
    if kind is not DestinationClass.INTERNAL:
        return _SAID.get(kind)
    if not facts.src_internal:
        return _FROM_OUTSIDE
    return None if facts.is_lookup else _INSIDE


RULE = Rule("destination", -0.7, 0.0, _judge)
