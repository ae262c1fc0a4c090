"""From score and adjustments to risk: one sum, one bound, one formula.

The deltas are added, the sum s is held within [:data:`MOST_LOWERED`,
:data:`MOST_RAISED`], and

    s < 0:  risk = score (1 + s)
    s > 0:  risk = score + s score (1 - score)

Both rise with the score and with s and meet at s = 0, where risk is the score
itself. A raise needs timing behind it: it does next to nothing to a score near 0,
so that context alone never makes a beacon. A lowering takes a share of any score,
so that even perfect timing (an NTP client) can be explained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_LOWERED = -0.9
"""Never to nothing: what is explained stays on the list, far down."""
MOST_RAISED = 0.5
"""A score of 0.60 can reach 0.72, one of 0.55 cannot reach an alert at 0.70."""


def risk_of(score: float, deltas: Iterable[float]) -> float:
    """Return the risk, 0 to 1.

    Parameters
    ----------
    score
        Timing score, 0 to 1.
    deltas
        What the rules said, in any order.
    """
    # fsum is exact, so the order cannot show even in the last digit.
    shift = min(max(math.fsum(deltas), MOST_LOWERED), MOST_RAISED)
    if shift <= 0:
        return score * (1 + shift)
    return min(score + shift * score * (1 - score), 1.0)
