"""Which pair is meant: source and destination as people type them, with or without port and protocol.

The same for the pairs of a live system and those of files. What is not clear is
refused with what there is to choose from, never guessed. Limit: at most
:data:`NAMED` choices are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from beacon_detect.errors import BeaconError, NotFoundError
from beacon_detect.records import protocol_name

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED = 20


class SeveralPairsError(BeaconError):
    """More than one pair is meant; the message names them."""


class Candidate(Protocol):
    """What a pair is told from others by."""

    @property
    def dst_port(self) -> int:
        """Destination port, 0 where the protocol has none."""

    @property
    def protocol(self) -> int:
        """IP protocol number."""


@dataclass(frozen=True, slots=True)
class PairQuery:
    """What somebody asks about; None where they did not say."""

    src: str
    dst: str
    dst_port: int | None = None
    protocol: int | None = None
    """IP protocol number."""

    def __str__(self) -> str:
        """Return the pair as people write it."""
        port = "" if self.dst_port is None else f":{self.dst_port}"
        dst = f"[{self.dst}]" if port and ":" in self.dst else self.dst
        protocol = "" if self.protocol is None else f" ({protocol_name(self.protocol)})"
        return f"{self.src} to {dst}{port}{protocol}"

    def fits(self, pair: Candidate) -> bool:
        """Say whether a pair of this source and destination is meant."""
        port = self.dst_port in {None, pair.dst_port}
        return port and self.protocol in {None, pair.protocol}


P = TypeVar("P", bound=Candidate)


def choose(query: PairQuery, between: Sequence[P], *, backwards: bool, where: str) -> P:
    """Return the pair that is meant.

    Parameters
    ----------
    query
        What was asked for.
    between
        Every pair of this source and destination.
    backwards
        Whether the destination talks to the source.
    where
        Where was looked, like ``the last 24 h``.

    Raises
    ------
    NotFoundError
        There is none; the hint says what is near.
    SeveralPairsError
        There is more than one.
    """
    fitting = [pair for pair in between if query.fits(pair)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise SeveralPairsError(
            f"{query} is not one pair but {len(fitting)}: {_services(fitting)}",
            hint="name the port, and the protocol where that is not enough",
        )
    if between:
        hint = f"between the two there is {_services(between)}"
    elif backwards:
        hint = f"there is traffic the other way: {query.dst} opens connections to {query.src}"
    else:
        hint = "source is the side that opens connections; `connections` lists what is known"
    raise NotFoundError(f"no connection from {query} is on record in {where}", hint=hint)


def _services(pairs: Sequence[Candidate]) -> str:
    names = [f"{pair.dst_port}/{protocol_name(pair.protocol)}" for pair in pairs[:NAMED]]
    more = f" and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
    return ", ".join(names) + more
