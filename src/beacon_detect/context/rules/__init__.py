"""The registry: a rule is one file and one line here (and its switch in the settings).

Limit: all rules see the same facts; a new kind of fact is a field of ``Facts``.
"""

from __future__ import annotations

from beacon_detect.context.rules import (
    destination,
    first_seen,
    infrastructure,
    interpreter,
    name_look,
    parallel_connections,
    prevalence,
    process_location,
    process_rarity,
    size_regularity,
)

RULES = (
    infrastructure.RULE,
    destination.RULE,
    prevalence.RULE,
    parallel_connections.RULE,
    process_location.RULE,
    name_look.RULE,
    first_seen.RULE,
    size_regularity.RULE,
    process_rarity.RULE,
    interpreter.RULE,
)
"""Every rule; the order does not matter."""
