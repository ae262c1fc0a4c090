"""The three records that cross the border of the detection core, and nothing else does.

A batch of series goes in, settings go in, columns come out.  All of them are
plain arrays with units in their docstrings, so that a store, a file reader or a
Spark worker can build them without copying.  Limit: nothing here checks that
times ascend inside a series; the analysis relies on its callers for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np

from beacon_detect.analysis.features import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from beacon_detect.analysis.arrays import Floats, Integers

MIN_CHECK_INS = 6
"""Fewer check-ins than this are watched, not scored: five intervals say too little."""

SURE_CHECK_INS = 10
"""Fewer check-ins than this never reach HIGH."""


class Abstention(IntEnum):
    """Why a series has no score."""

    NONE = 0
    TOO_FEW_CHECK_INS = 1


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Series of event times as one ragged array.

    Parameters
    ----------
    offsets
        Series ``i`` is ``times[offsets[i]:offsets[i + 1]]``; shape ``(n + 1,)``.
    times
        Event times in nanoseconds, ascending inside each series.
    bytes_out, bytes_in
        Payload bytes of each event, sent by the opener and by its peer.
    """

    offsets: Integers
    times: Integers
    bytes_out: Integers
    bytes_in: Integers

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together; the compiled code does not check bounds."""
        offsets = self.offsets
        if len(offsets) < 1 or offsets[0] != 0 or np.any(np.diff(offsets) < 0):
            raise ValueError("offsets must start at 0 and never descend")
        if not offsets[-1] == len(self.times) == len(self.bytes_out) == len(self.bytes_in):
            raise ValueError(
                "the last offset must equal the length of times and of both byte columns"
            )

    def __len__(self) -> int:
        """Count the series."""
        return len(self.offsets) - 1

    @classmethod
    def from_lists(cls, series: Sequence[Integers]) -> SeriesBatch:
        """Join separate time arrays (ns) into one batch; bytes are zero.

        Parameters
        ----------
        series
            One ascending array of nanoseconds for each series.
        """
        offsets = np.zeros(len(series) + 1, np.int64)
        np.cumsum([len(times) for times in series], out=offsets[1:])
        times = np.concatenate([np.zeros(0, np.int64), *series]).astype(np.int64)
        silent = np.zeros(len(times), np.int64)
        return cls(offsets=offsets, times=times, bytes_out=silent, bytes_in=silent)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may turn.

    Parameters
    ----------
    cv_threshold
        Coefficient of variation at which the CV score is one half.
    jitter_threshold
        Seconds of mean deviation at which the jitter score is one half, held
        between two fractions of the interval so that no interval is hopeless.
    weights
        Shares of the CV, periodicity and jitter scores in the base score;
        only their proportions matter.
    scoring
        ``calibrated``: the fitted model's score, whose cut-offs have a stated
        false-positive rate; ``weighted``: the base score.
    """

    cv_threshold: float = 0.15
    jitter_threshold: float = 5.0
    weights: tuple[float, float, float] = (0.4, 0.4, 0.2)
    scoring: Literal["calibrated", "weighted"] = "calibrated"

    def __post_init__(self) -> None:
        """Refuse thresholds and weights no score can be made of."""
        if self.cv_threshold <= 0 or self.jitter_threshold <= 0:
            raise ValueError("cv_threshold and jitter_threshold must be above 0")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("weights must not be negative and must not all be 0")


def _floats() -> Floats:
    return np.zeros(0, np.float64)


def _integers() -> Integers:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Results:
    """One row per series, in the order of the batch.

    Rows with ``abstained != Abstention.NONE`` hold zeros in every score; they
    were not measured, so read ``abstained`` before a score of zero.

    All but the first two describe the leading episode of the series.

    Parameters
    ----------
    score, base_score
        The verdict and the documented weighted sum, both 0 to 1.
    abstained
        An :class:`Abstention` value.
    cv_score, periodicity_score, jitter_score
        Components of the base score, 0 to 1.
    interval, configured_sleep
        Mean seconds between check-ins, and the setting they suggest: the upper
        edge for one-sided jitter.
    jitter
        Half the range of the intervals over their mean: 0.2 is "plus or minus 20 %".
    cv
        Coefficient of variation of the folded intervals.
    dominant_period, false_alarm
        Seconds of the strongest spectral line, and a bound on the probability
        that Poisson events show one as strong.
    check_ins, missed
        Check-ins seen, and check-ins inferred missing from multiples of the interval.
    connections_per_check_in
        Mean number of events in one check-in.
    left_out
        Check-ins of one or two events among larger ones that were taken for other traffic.
    log_odds
        The model's log odds of a beacon, before they are made a score.
    intervals, window_count, window_low, window_high
        Number of intervals, how many lie in the densest window, and its ends in seconds.
    chance_share
        The largest share that a random source puts into such a window.
    second_count, second_low, second_high
        The densest window among the unexplained intervals: a changed sleep.
    size_out, size_in
        Largest share of events whose sizes agree within about 9 %.
    episodes
        How many episodes the series has; 0 when none stands apart.
    first_event, last_event
        Where the leading episode begins and ends, as positions in the series.
    features
        Shape ``(n, len(FEATURES))``: what the model saw.
    """

    score: Floats = field(default_factory=_floats)
    base_score: Floats = field(default_factory=_floats)
    abstained: Integers = field(default_factory=_integers)
    cv_score: Floats = field(default_factory=_floats)
    periodicity_score: Floats = field(default_factory=_floats)
    jitter_score: Floats = field(default_factory=_floats)
    interval: Floats = field(default_factory=_floats)
    configured_sleep: Floats = field(default_factory=_floats)
    jitter: Floats = field(default_factory=_floats)
    cv: Floats = field(default_factory=_floats)
    dominant_period: Floats = field(default_factory=_floats)
    false_alarm: Floats = field(default_factory=_floats)
    check_ins: Integers = field(default_factory=_integers)
    missed: Integers = field(default_factory=_integers)
    connections_per_check_in: Floats = field(default_factory=_floats)
    left_out: Integers = field(default_factory=_integers)
    log_odds: Floats = field(default_factory=_floats)
    intervals: Integers = field(default_factory=_integers)
    window_count: Integers = field(default_factory=_integers)
    window_low: Floats = field(default_factory=_floats)
    window_high: Floats = field(default_factory=_floats)
    chance_share: Floats = field(default_factory=_floats)
    second_count: Integers = field(default_factory=_integers)
    second_low: Floats = field(default_factory=_floats)
    second_high: Floats = field(default_factory=_floats)
    size_out: Floats = field(default_factory=_floats)
    size_in: Floats = field(default_factory=_floats)
    episodes: Integers = field(default_factory=_integers)
    first_event: Integers = field(default_factory=_integers)
    last_event: Integers = field(default_factory=_integers)
    features: Floats = field(default_factory=lambda: np.zeros((0, len(FEATURES))))

    def __len__(self) -> int:
        """Count the series."""
        return len(self.score)
