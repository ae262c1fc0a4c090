"""How rare the program is: fleets run the same software, an implant runs on one host.

Limit: needs the executables of several hosts, or of many pairs on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

LEAST_HOSTS = 10
LEAST_PAIRS = 50
_COMMON, _RARE = 0.5, 0.05


def _judge(facts: Facts) -> tuple[float, str] | None:
    if not facts.executable or not facts.executable_pairs:
        return None
    if facts.attributed_hosts >= LEAST_HOSTS:
        share = facts.executable_hosts / facts.attributed_hosts
        hosts = f"{facts.executable_hosts:,} of {facts.attributed_hosts:,} hosts run this program"
        if share >= _COMMON:
            return -0.1, hosts
        return (0.1, f"only {hosts}") if share <= _RARE or facts.executable_hosts == 1 else None
    if facts.attributed_pairs >= LEAST_PAIRS and facts.executable_pairs == 1:
        return 0.05, "this program talks to nothing else"
    return None


RULE = Rule("process_rarity", -0.1, 0.1, _judge)
