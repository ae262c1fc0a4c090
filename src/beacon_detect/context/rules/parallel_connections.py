"""Several connections at one wake-up: browsers and applications fetch in parallel, implants ask once.

Where durations are known, parallel is what was open at the same time (:mod:`side_by_side`),
for an implant that asks three times in a row is no browser. Measured on labelled captures,
share of a pair's connections that began beside one still open: of about a hundred pairs of
beacons the highest is 0.13 (IcedID, in the first moment of its life), Cobalt Strike has up
to 0.10, all others 0; of the benign pairs that timing would alert on most have 0.31 to 0.52,
a polled application 0.11, a peer-to-peer one 0. Else several connections have to do: of the
pairs with two or more at each check-in none was a beacon.

Limit: an implant that opens its connections side by side is lowered, too; with perfect timing
it then stands just below 0.70 unless something else raises it, and
``context.rules.parallel_connections: false`` shows it. One that opens a second connection
for its results, or tries a dead server thrice, is lowered a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_SOME, _MANY = 2.0, 3.0
_SHARE = 0.25
"""Twice the highest share of a beacon, and below that of most benign pairs."""
_SEVERAL = 1.25
"""Fewer at each check-in, and what overlaps are the check-ins themselves: a controller asked every
second, whose connections last longer than that, has a share of 0.95 with 1.0 connections each."""


def _judge(facts: Facts) -> tuple[float, str] | None:
    each, share = facts.connections_per_check_in, facts.side_by_side
    if share is not None and share >= _SHARE and each >= _SEVERAL:
        return -0.3, (
            f"opens {share:.0%} of its connections beside others still open,"
            " as browsers and applications do"
        )
    if each < _SOME:
        return None
    delta = -0.25 if each >= _MANY else -0.1
    return delta, f"opens {each:.1f} connections each time, as browsers and applications do"


RULE = Rule("parallel_connections", -0.3, 0.0, _judge)
