"""What a rule says: how far it moves the risk, within its own bounds, and why in one sentence.

Limit: a rule sees the facts of one pair only; it knows nothing of the other
rules, so that their order cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from beacon_detect.context.facts import Facts


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One named step from score to risk."""

    rule: str
    delta: float
    """Share of the way: below 0 towards no risk, above 0 towards certainty."""
    reason: str
    """One plain sentence without a final full stop."""

    def __str__(self) -> str:
        """Return rule, delta and reason as one text."""
        return f"{self.rule} {self.delta:+.2f}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the registry.

    Parameters
    ----------
    name
        Key of its switch, ``context.rules.NAME``.
    lowest, highest
        Bounds of its delta; what it says beyond them is cut off.
    judge
        Returns delta and reason, None when the facts say nothing.
    """

    name: str
    lowest: float
    highest: float
    judge: Callable[[Facts], tuple[float, str] | None]

    def __call__(self, facts: Facts) -> Adjustment | None:
        """Return what the rule says about a pair, within its bounds."""
        said = self.judge(facts)
        if said is None:
            return None
        delta, reason = said
        return Adjustment(self.name, min(max(delta, self.lowest), self.highest), reason)
