"""Why a series is no beacon by its timing: plain reasons, the decisive one first.

The counterpart of the evidence sentence, for the person who expected a finding.
Limit: it speaks of timing only; what surrounds a pair is judged elsewhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from beacon_detect.analysis.attribution import GROUPS
from beacon_detect.analysis.evidence import duration
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.types import MIN_CHECK_INS, SURE_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.explanation import SeriesExplanation
    from beacon_detect.analysis.types import Settings

MOST_GROUPS = 3
"""Groups of features named as speaking against a beacon."""
LEAST_SHARE = 0.5
"""Log odds a group must take away to be named (taste)."""
LOW_PART = 0.5
"""A part of the base score below one half is named (taste)."""
_PARTS = (
    ("cv_score", "the intervals vary too much", "cv"),
    ("periodicity_score", "the check-ins follow no period", ""),
    ("jitter_score", "the check-ins stray too far from the rhythm", "jitter"),
)


def timing_reasons(found: SeriesExplanation, wanted: float, settings: Settings) -> list[str]:
    """Return why the series does not reach a score, empty where it does.

    Parameters
    ----------
    found
        The series.
    wanted
        The score it would have to reach, 0 to 1.
    settings
        Thresholds, weights and the kind of score it was measured with.
    """
    if not found.scored:
        count = len(found.check_ins)
        counted = "1 check-in" if count == 1 else f"{count} check-ins"
        return [f"only {counted}; at least {MIN_CHECK_INS} are needed for a score"]
    score = float(found.episodes.score[0])
    if score >= wanted:
        return []
    reasons = [f"score {score:.1%} is below {wanted:.1%}"]
    if _is_held_back(found, settings):
        reasons.append(
            f"{int(found.episodes.check_ins[0])} check-ins; with fewer than"
            f" {SURE_CHECK_INS} a score stays below 80%"
        )
    reasons.append(_window(found))
    against = _parts(found) if settings.scoring == "weighted" else _groups(found)
    return reasons + ([against] if against else [])


def _is_held_back(found: SeriesExplanation, settings: Settings) -> bool:
    """Say whether the score would be higher if there were more check-ins like these."""
    results = found.episodes
    free = results.base_score[0]
    if settings.scoring == "calibrated":
        free = load_model().calibrate(results.log_odds[:1])[0]
    return bool(results.check_ins[0] < SURE_CHECK_INS and free > results.score[0])


def _window(found: SeriesExplanation) -> str:
    results = found.episodes
    total = int(results.intervals[0])
    most = math.floor(results.chance_share[0] * total)
    low, high = duration(float(results.window_low[0])), duration(float(results.window_high[0]))
    return (
        f"the densest window, {low} to {high}, holds {int(results.window_count[0])} of {total} intervals;"
        f" a random source would put at most {most} there"
    )


def _groups(found: SeriesExplanation) -> str:
    """Return what takes most away when compared with a clock."""
    if found.against_clock is None:
        return ""
    lowering = [
        f"{GROUPS[name]} ({share:+.1f})"
        for name, share in found.against_clock.groups.items()
        if share <= -LEAST_SHARE
    ]
    if not lowering:
        return ""
    return f"what lowers it most, compared with a clock: {', '.join(lowering[:MOST_GROUPS])}"


def _parts(found: SeriesExplanation) -> str:
    """Return which parts of the base score are low."""
    low = []
    for name, words, measure in _PARTS:
        value = float(getattr(found.episodes, name)[0])
        if value < LOW_PART:
            seen = (
                f", {measure} {float(getattr(found.episodes, measure)[0]):.2f}" if measure else ""
            )
            low.append(f"{words} ({name.replace('_', ' ')} {value:.1%}{seen})")
    return f"what lowers it most: {', '.join(low)}" if low else ""
