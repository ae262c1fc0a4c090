"""How many internal hosts talk to the destination: few infected, everybody updates.

Limit: with fewer than :data:`LEAST_HOSTS` hosts in sight a share says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

LEAST_HOSTS = 10
_COMMON, _FREQUENT, _RARE = 0.5, 0.2, 0.02
"""Shares of the internal hosts."""


def _judge(facts: Facts) -> tuple[float, str] | None:
    if not facts.src_internal or facts.hosts < LEAST_HOSTS or facts.sources < 1:
        return None
    share = facts.sources / facts.hosts
    if _RARE < share < _FREQUENT:
        return None
    many = f"{facts.sources:,} of {facts.hosts:,} internal hosts talk to this destination"
    if share <= _RARE:
        return 0.1, f"only {many}"
    return (-0.3 if share >= _COMMON else -0.15), many


RULE = Rule("prevalence", -0.3, 0.1, _judge)
