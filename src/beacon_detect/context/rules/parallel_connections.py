"""Several connections at one wake-up: browsers and applications fetch in parallel, implants ask once.

Measured on the labelled captures: of the pairs with two connections a check-in or
more none is a beacon. Limit: an implant that opens a second connection for its
results, or tries a dead server thrice, is lowered a little, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_SOME, _MANY = 2.0, 3.0


def _judge(facts: Facts) -> tuple[float, str] | None:
    if facts.connections_per_check_in < _SOME:
        return None
    delta = -0.25 if facts.connections_per_check_in >= _MANY else -0.1
    each = f"{facts.connections_per_check_in:.1f} connections each time"
    return delta, f"opens {each}, as browsers and applications do"


RULE = Rule("parallel_connections", -0.25, 0.0, _judge)
