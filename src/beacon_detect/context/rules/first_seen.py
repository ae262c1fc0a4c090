"""New destinations deserve a look, old acquaintances less.

Limit: nothing is new to somebody who began to watch this week, so the rule is
silent until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

DAY = 86_400.0
_LEAST_WATCHED, _NEW, _OLD = 7 * DAY, DAY, 30 * DAY


def _judge(facts: Facts) -> tuple[float, str] | None:
    if facts.watched < _LEAST_WATCHED:
        return None
    watched = f"{facts.watched / DAY:.0f} days of watching"
    if facts.age <= _NEW:
        return 0.1, f"the destination was first seen within a day, after {watched}"
    if facts.age >= _OLD:
        return -0.1, f"the destination has been known for {facts.age / DAY:.0f} days"
    return None


RULE = Rule("first_seen", -0.1, 0.1, _judge)
