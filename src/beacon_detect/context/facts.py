"""Everything the rules may know about a pair, as one plain value.

Whoever has the facts fills it in: the server from its pair table, the hunt from
its files. What is not known stays at its default, and no rule speaks about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from beacon_detect.context.destination import DestinationClass, destination_class, is_near
from beacon_detect.records import Protocol

_LOOKUP_PORTS = (53, 853)
_LOOKUP_PROTOCOLS = (Protocol.TCP, Protocol.UDP)


@dataclass(slots=True)
class Facts:
    """Facts of one pair; durations in seconds.

    Not frozen, for that trebles the time to make one, and a hunt makes half a million.
    """

    src: str
    dst: str
    dst_port: int = 0
    protocol: int = 6
    """IP protocol number."""
    name: str = ""
    """Name of the destination, empty when none is known."""
    process: str = ""
    executable: str = ""
    src_internal: bool = True
    dst_internal: bool = False
    sources: int = 0
    """Internal hosts that talk to this destination."""
    hosts: int = 0
    """Internal hosts seen in all; 0 when nobody counted."""
    executable_hosts: int = 0
    """Hosts on which this executable was seen."""
    attributed_hosts: int = 0
    """Hosts on which any executable was seen; 0 when nobody counted."""
    executable_pairs: int = 0
    """Pairs of this executable."""
    attributed_pairs: int = 0
    """Pairs whose executable is known."""
    age: float = 0.0
    """Since the destination was first seen."""
    watched: float = 0.0
    """Since anything was first seen; with less than a week nothing is new."""
    connections_per_check_in: float = 1.0
    """Connections at one wake-up, on average; of bursts inside open connections nobody counts them."""
    side_by_side: float | None = None
    """Share, 0 to 1, of the finished connections that began beside one still open; None where no
    durations are known, and for series that are not a pair's connections."""
    size_regularity: float | None = None
    """0 to 1: how alike the check-ins' sizes are; None when not measured."""

    @property
    def is_lookup(self) -> bool:
        """Whether it talks to a port of name resolution (DNS, DNS over TLS)."""
        return self.dst_port in _LOOKUP_PORTS and self.protocol in _LOOKUP_PROTOCOLS

    @property
    def dst_class(self) -> DestinationClass:
        """What kind of address the destination is."""
        return destination_class(self.dst, internal=self.dst_internal)

    @property
    def is_local(self) -> bool:
        """Whether the destination belongs to this network, as far as addresses tell.

        Networks with public addresses are common on campuses, so a source that
        is not internal makes its own neighbourhood local.
        """
        if self.dst_class is not DestinationClass.EXTERNAL:
            return True
        return not self.src_internal and is_near(self.src, self.dst)
