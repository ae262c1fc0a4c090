"""The three records that cross the border of the detection core, and nothing else does.

A batch of series goes in, settings go in, columns come out.  All of them are
plain arrays with units in their docstrings, so that a store, a file reader or a
Spark worker can build them without copying.  Limit: nothing here checks that
times ascend inside a series; the analysis relies on its callers for that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MIN_CHECK_INS = 6
"""Fewer check-ins than this are watched, not scored: five intervals say too little."""


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

    offsets: NDArray[np.int64]
    times: NDArray[np.int64]
    bytes_out: NDArray[np.int64]
    bytes_in: NDArray[np.int64]

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
    def from_lists(cls, series: Sequence[NDArray[np.int64]]) -> SeriesBatch:
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
    """

    cv_threshold: float = 0.15
    jitter_threshold: float = 5.0
    weights: tuple[float, float, float] = (0.4, 0.4, 0.2)

    def __post_init__(self) -> None:
        """Refuse thresholds and weights no score can be made of."""
        if self.cv_threshold <= 0 or self.jitter_threshold <= 0:
            raise ValueError("cv_threshold and jitter_threshold must be above 0")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError("weights must not be negative and must not all be 0")


def _floats() -> NDArray[np.float64]:
    return np.zeros(0, np.float64)


def _integers() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Results:
    """One row per series, in the order of the batch.

    Rows with ``abstained != Abstention.NONE`` hold zeros in every score; they
    were not measured, so read ``abstained`` before a score of zero.

    Parameters
    ----------
    score, base_score
        The verdict and the documented weighted sum, both 0 to 1.
    cv_score, periodicity_score, jitter_score
        Components of the base score, 0 to 1.
    interval, dominant_period
        Seconds between check-ins, and the period of the strongest spectral line.
    jitter
        Half the range of the intervals over their mean: 0.2 is "plus or minus 20 %".
    cv
        Coefficient of variation of the folded intervals.
    check_ins, missed
        Check-ins seen, and check-ins inferred missing from multiples of the interval.
    connections_per_check_in
        Mean number of events in one check-in.
    abstained
        An :class:`Abstention` value.
    """

    score: NDArray[np.float64] = field(default_factory=_floats)
    base_score: NDArray[np.float64] = field(default_factory=_floats)
    cv_score: NDArray[np.float64] = field(default_factory=_floats)
    periodicity_score: NDArray[np.float64] = field(default_factory=_floats)
    jitter_score: NDArray[np.float64] = field(default_factory=_floats)
    interval: NDArray[np.float64] = field(default_factory=_floats)
    jitter: NDArray[np.float64] = field(default_factory=_floats)
    cv: NDArray[np.float64] = field(default_factory=_floats)
    dominant_period: NDArray[np.float64] = field(default_factory=_floats)
    check_ins: NDArray[np.int64] = field(default_factory=_integers)
    missed: NDArray[np.int64] = field(default_factory=_integers)
    connections_per_check_in: NDArray[np.float64] = field(default_factory=_floats)
    abstained: NDArray[np.int64] = field(default_factory=_integers)

    def __len__(self) -> int:
        """Count the series."""
        return len(self.score)
