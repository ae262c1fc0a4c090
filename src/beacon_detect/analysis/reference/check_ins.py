"""From events to check-ins: collapse at a valley of the log-gap histogram, in plain NumPy.

An implant often opens several connections each time it wakes; their short gaps
and its long sleeps are two hills of the histogram of log gaps.  Events closer
than a threshold in the valley between are one check-in.  Every valley is tried
and the one whose intervals are the most concentrated wins.

An implant that works before it sleeps keeps its sleep and not its schedule: what
is regular then is the pause from the last event of a check-in to the first of the
next.  So every collapse is looked at both ways, and pauses are reported as
intervals by adding the usual time a check-in takes.  Limit: an operator session
denser than the beacon fills the valley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import (
    CLEARLY_MORE,
    CORE_FLOOR,
    DUPLICATE_GAP_NS,
    LONGEST_DROPPED,
    MAX_COLLAPSE_SECONDS,
    MIN_BURST_SHARE,
    RAPID_PENALTY,
    SECOND_NS,
    SHORTEST_IN_SECONDS,
    SHORTEST_INTERVAL,
)
from beacon_detect.analysis.interval_bins import (
    BINS,
    BINS_PER_OCTAVE,
    EDGES,
    HALF_OCTAVE,
    MID_BIN,
    NULL_SHARE,
    WINDOW_WIDTHS,
    bin_of,
)
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers


@dataclass(frozen=True, slots=True)
class Window:
    """The interval window with the most evidence: ``[low, high)`` seconds, in excess of the gap."""

    low: float
    high: float
    low_bin: int
    high_bin: int
    count: int
    chance: float
    divergence: float


@dataclass(frozen=True, slots=True)
class Merits:
    """How clear the choice of a collapse was: chance has many that are about as good.

    Parameters
    ----------
    best, runner_up, uncollapsed
        Merit of the best collapse, of the best one at another gap, and of none; nats.
    collapses
        How many gaps were worth a look.
    """

    best: float
    runner_up: float
    uncollapsed: float
    collapses: int

    def over(self, scale: float) -> Merits:
        """Return the merits divided by a scale."""
        return Merits(
            self.best / scale, self.runner_up / scale, self.uncollapsed / scale, self.collapses
        )


@dataclass(frozen=True, slots=True)
class CheckIns:
    """The check-ins of one series.

    Parameters
    ----------
    starts
        First event of each check-in, ns.
    gap
        Events up to this many seconds apart belong together.
    busy
        Usual seconds from the first event of a check-in to its last where pauses are
        regular, 0 where starts are.
    intervals
        Seconds from start to start, or pauses and ``busy``.
    window
        The most concentrated interval window at this gap.
    merits
        This collapse among the others.
    """

    starts: Integers
    gap: float
    busy: float
    intervals: Floats
    window: Window
    merits: Merits

    @property
    def dead_time(self) -> float:
        """The seconds that no interval can be shorter than."""
        return self.gap + self.busy


def kl_divergence(q: float, p: float) -> float:
    """Return KL(q || p) of two Bernoulli laws in nats, 0 where q is no larger than p."""
    if q <= p:
        return 0.0
    if q >= 1.0:
        return float(-np.log(p))
    return float(q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p)))


def mean_gap_rate(times: Integers) -> float:
    """Return the scale of the histogram, per second: the mean gap becomes ``MID_BIN``."""
    span = float(times[-1] - times[0]) * 1e-9
    return MID_BIN * (len(times) - 1) / span if span > 0 else 1.0


def starts_at(times: Integers, gap: float) -> Integers:
    """Return the first event of each run whose gaps are at most ``gap`` seconds."""
    limit = max(int(gap * 1e9), DUPLICATE_GAP_NS)
    return times[np.concatenate(([True], np.diff(times) > limit))]


def ends_at(times: Integers, gap: float) -> Integers:
    """Return the last event of each run whose gaps are at most ``gap`` seconds."""
    limit = max(int(gap * 1e9), DUPLICATE_GAP_NS)
    return times[np.concatenate((np.diff(times) > limit, [True]))]


def shortest_interval(times: Integers) -> float:
    """Return the shortest interval that is looked at first, seconds.

    In a log of whole seconds any traffic denser than its clock beats in seconds.
    """
    whole_seconds = not ((times - times[0]) % SECOND_NS).any()
    return SHORTEST_IN_SECONDS if whole_seconds else SHORTEST_INTERVAL


def densest_window(excess: Floats, rate: float, first_width: int = 0) -> Window:
    """Scan all windows and return the one least likely under any exponential law.

    Parameters
    ----------
    excess
        Intervals beyond the dead time, seconds.  After a collapse at gap g a
        Poisson process is still exponential in ``interval - g``.
    rate
        Scale of the histogram, per second.
    first_width
        Narrowest width to scan, as a position in ``WINDOW_WIDTHS``.
    """
    counts = np.bincount(bin_of(excess * rate), minlength=BINS).astype(float)
    total = np.concatenate(([0.0], np.cumsum(counts)))
    best = Window(EDGES[0] / rate, EDGES[1] / rate, 0, 1, 0, 1.0, 0.0)
    for width, null in zip(WINDOW_WIDTHS[first_width:], NULL_SHARE[first_width:], strict=True):
        inside = total[width:] - total[:-width]
        low = int(np.argmax(inside))
        count = int(inside[low])
        chance = float(null[low % BINS_PER_OCTAVE])
        divergence = kl_divergence(count / len(excess), chance)
        if divergence > best.divergence:
            high = low + int(width)
            ends = EDGES[low] / rate, EDGES[high] / rate
            best = Window(*ends, low, high, count, chance, divergence)
    return best


def explained_share(excess: Floats, rate: float, window: Window) -> float:
    """Return the share of active time in the window and its second to fourth multiples."""
    bins = bin_of(excess * rate)
    counts = np.bincount(bins, minlength=BINS)
    seconds = np.bincount(bins, weights=excess, minlength=BINS)
    dropped = max(1.0, LONGEST_DROPPED * len(excess))
    top = int(bins.max())
    while top > bins.min() and counts[top] <= dropped:
        dropped -= counts[top]
        top -= 1
    active = float(seconds[: top + 1].sum())
    explained, following = 0.0, window.low_bin
    for multiple in (1, 2, 3, 4):
        low, high = bin_of(EDGES[[window.low_bin, window.high_bin]] * multiple)
        low, high = max(int(low), following), min(int(high), top + 1)
        if high > low:
            explained += float(seconds[low:high].sum())
            following = high
    return explained / active if active > 0 else 0.0


def collapse_gaps(times: Integers, rate: float) -> list[float]:
    """Return the gaps worth trying, seconds, ascending: none, then every valley."""
    gaps = np.diff(times)
    gaps = gaps[gaps > DUPLICATE_GAP_NS] * 1e-9
    octaves = np.bincount(bin_of(gaps * rate) // HALF_OCTAVE, minlength=BINS // HALF_OCTAVE + 2)
    found, tried = [0.0], -1
    for half in range(2, BINS // HALF_OCTAVE):
        below = int(octaves[:half].sum())
        gap = EDGES[half * HALF_OCTAVE] / rate
        if len(gaps) - below < MIN_CHECK_INS - 1 or gap > MAX_COLLAPSE_SECONDS:
            break
        lowest = octaves[half] <= min(octaves[half - 2 : half + 3])
        if lowest and below != tried and below >= MIN_BURST_SHARE * len(gaps):
            tried = below
            found.append(float(gap))
    return found


def find_check_ins(times: Integers) -> CheckIns | None:
    """Collapse one series at the gap that concentrates its intervals most.

    Parameters
    ----------
    times
        Event times, ns, ascending.

    Returns
    -------
    CheckIns or None
        ``None`` when there are fewer than ``MIN_CHECK_INS`` at every gap.
    """
    if len(times) < MIN_CHECK_INS:
        return None
    rate, shortest = mean_gap_rate(times), shortest_interval(times)
    chosen, best = None, -1.0
    weighed: list[tuple[float, float]] = []
    for gap in collapse_gaps(times, rate):
        starts, ends = starts_at(times, gap), ends_at(times, gap)
        if len(starts) < MIN_CHECK_INS:
            break
        # Without a collapse a check-in has one event: its start is its end.
        for before in (starts, ends) if gap > 0 else (starts,):
            pauses = np.multiply(starts[1:] - before[:-1], 1e-9, dtype=np.float64)
            window = densest_window(pauses - gap, rate)
            merit = weigh_collapse(pauses - gap, rate, window)
            if window.high + gap < shortest:
                merit *= RAPID_PENALTY
            weighed.append((gap, merit))
            if merit > best * CLEARLY_MORE:
                busy = 0.0 if before is starts else float(np.median((ends - starts) * 1e-9))
                chosen, best = (starts, gap, busy, pauses + busy, window), merit
    if chosen is None:
        return None
    _, gap, _, _, window = chosen
    merits = Merits(
        best=best,
        runner_up=max((merit for other, merit in weighed if other != gap), default=0.0),
        uncollapsed=weighed[0][1],
        collapses=len({other for other, _ in weighed}),
    )
    # A rhythm looked at last is no worse for it once nothing else was better.
    rapid = window.high + gap < shortest
    return CheckIns(*chosen, merits.over(RAPID_PENALTY if rapid else 1.0))


def weigh_collapse(excess: Floats, rate: float, window: Window) -> float:
    """Return what collapses are compared by: the evidence of the window times what it explains, nats."""
    evidence = len(excess) * window.divergence
    return evidence * (CORE_FLOOR + explained_share(excess, rate, window))
