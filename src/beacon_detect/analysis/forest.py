"""The trees of the model as plain arrays, the same for both implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers


class Forest(NamedTuple):
    """All trees in one set of arrays; a leaf has feature -1 and its share of the log odds in ``value``.

    ``ceiling[n]`` is the most that n check-ins can reach, the last entry also for more:
    nothing is more certain than a perfect beacon.
    """

    baseline: float
    roots: Integers
    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    value: Floats
    ceiling: Floats
