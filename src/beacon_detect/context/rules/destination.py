"""Where the traffic goes: groups and neighbours cannot be a command server far away.

Multicast and broadcast have no single receiver to take orders from. Internal
destinations are only lowered a little: implants do relay through neighbours.
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
    DestinationClass.INTERNAL: (-0.1, "stays inside the network"),
}


def _judge(facts: Facts) -> tuple[float, str] | None:
    return _SAID.get(facts.dst_class)


RULE = Rule("destination", -0.7, 0.0, _judge)
