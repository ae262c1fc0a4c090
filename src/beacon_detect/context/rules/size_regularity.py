"""Check-ins of one size: an idle implant sends the same request again and again.

Limit: so does a monitoring agent, hence the small step; padding implants escape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_ALIKE = 0.9


def _judge(facts: Facts) -> tuple[float, str] | None:
    if facts.size_regularity is None or facts.size_regularity < _ALIKE:
        return None
    return 0.05, f"the check-ins are of one size (regularity {facts.size_regularity:.0%})"


RULE = Rule("size_regularity", 0.0, 0.05, _judge)
