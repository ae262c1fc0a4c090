"""The one call: score and facts in, risk and its reasons out.

Limit: switches turn rules off as a whole; their strengths are fixed here, so that
a risk means the same in every installation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from beacon_detect.context.risk import risk_of
from beacon_detect.context.rules import RULES

if TYPE_CHECKING:
    from beacon_detect.context.adjustment import Adjustment
    from beacon_detect.context.facts import Facts


@dataclass(frozen=True, slots=True)
class ContextSettings:
    """Which rules speak."""

    enabled: bool = True
    """Off: risk is the score exactly."""
    disabled: frozenset[str] = frozenset()
    """Names of rules that are switched off."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """The risk of a pair, and why it differs from the score."""

    risk: float
    reasons: tuple[Adjustment, ...]
    """Strongest first."""


def adjustments(facts: Facts, settings: ContextSettings) -> tuple[Adjustment, ...]:
    """Return what the rules say about a pair, strongest first."""
    if not settings.enabled:
        return ()
    spoken: list[Adjustment] = []
    for rule in RULES:
        adjustment = rule(facts)
        if adjustment is not None and adjustment.delta and rule.name not in settings.disabled:
            spoken.append(adjustment)
    if len(spoken) > 1:
        spoken.sort(key=lambda adjustment: (-abs(adjustment.delta), adjustment.rule))
    return tuple(spoken)


def assess(score: float, facts: Facts, settings: ContextSettings) -> Assessment:
    """Return risk and reasons.

    Parameters
    ----------
    score
        Timing score, 0 to 1.
    facts
        What is known of the pair.
    settings
        Which rules speak.
    """
    reasons = adjustments(facts, settings)
    return Assessment(risk_of(score, [reason.delta for reason in reasons]), reasons)
