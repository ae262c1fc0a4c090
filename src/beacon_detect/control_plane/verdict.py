"""The verdict on one pair in plain words: flagged, hidden or not, and why not.

Pure, and the same for a live pair and for one in files: whoever asks says what
was measured and what it has to reach. Limit: the reasons are those of now; what
a finding reached earlier is kept by the finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from beacon_detect.analysis.severity import severity
from beacon_detect.analysis.why_not import timing_reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.analysis import Settings
    from beacon_detect.analysis.explanation import SeriesExplanation
    from beacon_detect.context import Adjustment, Assessment


@dataclass(frozen=True, slots=True)
class Case:
    """What the verdict on a pair rests on."""

    found: SeriesExplanation | None
    """The series as measured now; None where no events of it are left."""
    settings: Settings
    """Measured with these."""
    threshold: float
    """Risk from which a pair is flagged."""
    where: str
    """Where was looked, like ``the last 24 h``."""
    assessment: Assessment | None = None
    """Risk of the score measured now, and its reasons; None without a score."""
    flagged_risk: float | None = None
    """Risk of the finding, highest reached; None where there is no finding."""
    whitelisted_by: Sequence[str] = ()
    least_events: int = 0
    """Fewest events before a series is scored."""
    told_with: str = ""
    """The finding that tells of the pair together with others."""
    pass_after: float = 0.0
    """Seconds between two passes; 0 where there are none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the pair is flagged, in one sentence, and what keeps it from being so."""

    flagged: bool
    text: str
    why_not: tuple[str, ...]


def decide(case: Case) -> Verdict:
    """Return the verdict on a pair.

    A pair is flagged when it has a finding whose risk reaches the threshold and
    no whitelist entry covers it.
    """
    hidden = tuple(f"whitelisted by {entry}" for entry in case.whitelisted_by)
    risk = case.flagged_risk
    if risk is not None and risk >= case.threshold:
        standing = f"{severity(risk)}, risk {risk:.1%}"
        if not hidden:
            return Verdict(True, f"flagged: {standing}", ())
        return Verdict(False, f"hidden: it is whitelisted; else it would be {standing}", hidden)
    reasons = (*hidden, *_reasons(case))
    return Verdict(False, f"not flagged: {reasons[0]}", reasons)


def _reasons(case: Case) -> list[str]:
    """Return why the pair has no finding of enough risk; at least one reason."""
    found = case.found
    if found is None or not found.events:
        return [f"no connection of this pair is on record in {case.where}"]
    reasons = []
    if found.events < case.least_events:
        counted = "1 event" if found.events == 1 else f"{found.events} events"
        reasons.append(
            f"only {counted} in {case.where}; detection.min_connections asks for"
            f" {case.least_events} before a pair is scored"
        )
    risk = 0.0 if case.assessment is None else case.assessment.risk
    if risk < case.threshold:
        reasons += timing_reasons(found, case.threshold, case.settings)
        if case.assessment is not None:
            reasons += _lowering(case.assessment, float(found.episodes.score[0]))
    if case.told_with:
        reasons.append(f"told together with others: {case.told_with}")
    return reasons or [_not_yet(case, risk)]


def _lowering(assessment: Assessment, score: float) -> list[str]:
    """Say by what the risk is lower than the score."""
    said = [reason for reason in assessment.reasons if reason.delta < 0]
    if assessment.risk >= score or not said:
        return []
    first = f"risk lowered from {score:.1%} to {assessment.risk:.1%}: {_step(said[0])}"
    return [first, *(f"risk lowered further: {_step(reason)}" for reason in said[1:])]


def _step(reason: Adjustment) -> str:
    return f"{reason.reason} ({reason.rule} {reason.delta:+.2f})"


def _not_yet(case: Case, risk: float) -> str:
    soon = f", one every {case.pass_after:.0f} s," if case.pass_after else ""
    return (
        f"measured now it reaches risk {risk:.1%}: the next pass{soon} that sees new records"
        " of it makes it a finding"
    )
