"""From events to check-ins: collapse at a valley of the log-gap histogram, in plain NumPy.

An implant often opens several connections each time it wakes; their short gaps
and its long sleeps are two hills of the histogram of log gaps.  Events closer
than a threshold in the valley between are one check-in.  Every valley is tried
and the one whose intervals are the most concentrated wins.

An implant that works before it sleeps keeps its sleep and not its schedule: what
is regular then is the pause from the last event of a check-in to the first of the
next.  So every collapse is looked at both ways, and pauses are reported as
intervals by adding the usual time a check-in takes.  Other traffic of the pair
mostly comes one by one: an implant that opens several connections each time is
also looked for among the large check-ins alone.  The best way leads if it is beyond
doubt; else the next best is measured, too, and the model chooses.  Limit: an operator
session denser than the beacon fills the valley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import (
    BELOW_SHARE,
    CLEARLY_MORE,
    CORE_FLOOR,
    DUPLICATE_GAP_NS,
    EVIDENCE_NONE,
    HALVES_BELOW,
    LARGE_CHECK_IN,
    LONGEST_DROPPED,
    MAX_COLLAPSE_SECONDS,
    MIN_BURST_SHARE,
    MOST_KEPT,
    RAPID_PENALTY,
    SECOND_NS,
    SHORTEST_IN_SECONDS,
    SHORTEST_INTERVAL,
    WORTH_EVIDENCE,
    WORTH_MERIT,
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
    own, other, uncollapsed
        Merit of this collapse, of the best other one, and of none; nats.
    collapses
        How many were worth a look.
    """

    own: float
    other: float
    uncollapsed: float
    collapses: int

    def over(self, scale: float) -> Merits:
        """Return the merits divided by a scale."""
        return Merits(
            self.own / scale, self.other / scale, self.uncollapsed / scale, self.collapses
        )


@dataclass(frozen=True, slots=True)
class Collapse:
    """One way in which events become check-ins.

    Parameters
    ----------
    gap
        Events up to this many seconds apart belong together.
    paused
        Whether intervals begin at the last event of a check-in instead of its first.
    large
        Whether check-ins of fewer than ``LARGE_CHECK_IN`` events are left out.
    """

    gap: float = 0.0
    paused: bool = False
    large: bool = False

    def firsts_and_sizes(self, times: Integers) -> tuple[Integers, Integers]:
        """Return the position of the first event of each check-in, and how many events it has."""
        firsts = first_events(times, self.gap)
        sizes = np.diff(firsts, append=len(times))
        kept = sizes >= (LARGE_CHECK_IN if self.large else 1)
        return firsts[kept], sizes[kept]

    def firsts(self, times: Integers) -> Integers:
        """Return the position of the first event of each check-in."""
        return self.firsts_and_sizes(times)[0]

    def busy(self, times: Integers) -> float:
        """Return the usual seconds from the first event of a check-in to its last, if paused."""
        if not self.paused:
            return 0.0
        firsts, sizes = self.firsts_and_sizes(times)
        return float(np.median((times[firsts + sizes - 1] - times[firsts]) * 1e-9))

    def pauses(self, times: Integers) -> Floats:
        """Return the seconds between check-ins, from the first or the last event of each."""
        firsts = self.firsts(times)
        before = firsts[1:] - 1 if self.paused else firsts[:-1]
        pauses: Floats = np.multiply(times[firsts[1:]] - times[before], 1e-9, dtype=np.float64)
        return pauses

    def intervals(self, times: Integers) -> Floats:
        """Return the seconds from start to start, or pauses and the usual time of a check-in."""
        return self.pauses(times) + self.busy(times)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A collapse, its densest window and its merit, nats; ``intervals`` counts them."""

    collapse: Collapse
    window: Window
    merit: float
    intervals: int

    @property
    def evidence(self) -> float:
        """The nats that speak against chance."""
        return self.intervals * self.window.divergence


@dataclass(frozen=True, slots=True)
class CheckIns:
    """The check-ins of one series.

    Parameters
    ----------
    collapse
        How the events became check-ins.
    starts
        Time of the first event of each check-in, ns.
    sizes
        Events of each check-in.
    left_out
        Smaller check-ins that are not among them.
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

    collapse: Collapse
    starts: Integers
    sizes: Integers
    left_out: int
    busy: float
    intervals: Floats
    window: Window
    merits: Merits

    @property
    def dead_time(self) -> float:
        """The seconds that no interval can be shorter than."""
        return self.collapse.gap + self.busy


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


def first_events(times: Integers, gap: float) -> Integers:
    """Return the position of the first event of each run whose gaps are at most ``gap`` seconds."""
    limit = max(int(gap * 1e9), DUPLICATE_GAP_NS)
    return np.flatnonzero(np.concatenate(([True], np.diff(times) > limit)))


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


def collapse_gaps(times: Integers, rate: float, plain: Weighed) -> list[float]:
    """Return the gaps worth trying, seconds, ascending: every valley and what lies below the window.

    Parameters
    ----------
    times
        Event times, ns.
    rate
        Scale of the histogram, per second.
    plain
        The intervals without a collapse.
    """
    gaps = np.diff(times)
    gaps = gaps[gaps > DUPLICATE_GAP_NS] * 1e-9
    octaves = np.bincount(bin_of(gaps * rate) // HALF_OCTAVE, minlength=BINS // HALF_OCTAVE + 2)
    window = plain.window.low_bin // HALF_OCTAVE
    below_window = {window - below for below in HALVES_BELOW if plain.evidence >= EVIDENCE_NONE}
    found: list[float] = []
    tried = -1
    for half in range(2, BINS // HALF_OCTAVE):
        below = int(octaves[:half].sum())
        gap = EDGES[half * HALF_OCTAVE] / rate
        if len(gaps) - below < MIN_CHECK_INS - 1 or gap > MAX_COLLAPSE_SECONDS:
            break
        valley = octaves[half] <= min(octaves[half - 2 : half + 3])
        busy = half in below_window and below >= BELOW_SHARE * len(gaps)
        if (valley or busy) and below != tried and below >= MIN_BURST_SHARE * len(gaps):
            tried = below
            found.append(float(gap))
    return found


def weigh(times: Integers, rate: float, shortest: float, collapse: Collapse) -> Weighed:
    """Return a collapse with its merit: the evidence of its window times what that explains, nats."""
    pauses = collapse.pauses(times)
    window = densest_window(pauses - collapse.gap, rate)
    share = explained_share(pauses - collapse.gap, rate, window)
    merit = len(pauses) * window.divergence * (CORE_FLOOR + share)
    if window.high + collapse.gap < shortest:
        merit *= RAPID_PENALTY
    return Weighed(collapse, window, merit, len(pauses))


def weigh_all(times: Integers, rate: float, shortest: float) -> list[Weighed]:
    """Weigh every collapse worth a look: none first, then the gaps in ascending order."""
    ways = [weigh(times, rate, shortest, Collapse())]
    for gap in collapse_gaps(times, rate, ways[0]):
        check_ins = len(first_events(times, gap))
        if check_ins < MIN_CHECK_INS:
            break
        started, paused = (
            weigh(times, rate, shortest, Collapse(gap, paused)) for paused in (False, True)
        )
        ways.append(paused if is_better(paused, started) else started)
        large = Collapse(gap, large=True)
        if MIN_CHECK_INS <= len(large.firsts(times)) <= MOST_KEPT * check_ins:
            ways.append(weigh(times, rate, shortest, large))
    return ways


def is_better(way: Weighed, other: Weighed) -> bool:
    """Tell whether a way has clearly more merit than one that was looked at before it."""
    return way.merit > other.merit * CLEARLY_MORE


def find_check_ins(times: Integers) -> list[CheckIns]:
    """Collapse one series at the gap that concentrates its intervals most.

    Parameters
    ----------
    times
        Event times, ns, ascending.

    Returns
    -------
    list of CheckIns
        The best way first, then the next best if it is worth measuring; none when
        there are fewer than ``MIN_CHECK_INS`` at every gap.
    """
    if len(first_events(times, 0.0)) < MIN_CHECK_INS:
        return []
    rate, shortest = mean_gap_rate(times), shortest_interval(times)
    ways = weigh_all(times, rate, shortest)
    best, second = ways[0], None
    for way in ways[1:]:
        if is_better(way, best):
            best, second = way, best
        elif second is None or is_better(way, second):
            second = way
    merits = Merits(best.merit, second.merit if second else 0.0, ways[0].merit, len(ways))
    found = [check_ins_of(times, best, merits, shortest)]
    if second and is_worth_measuring(second, best):
        merits = Merits(second.merit, best.merit, ways[0].merit, len(ways))
        found.append(check_ins_of(times, second, merits, shortest))
    return found


def is_worth_measuring(second: Weighed, best: Weighed) -> bool:
    """Tell whether the model may prefer the next best way."""
    return second.evidence >= WORTH_EVIDENCE and second.merit >= WORTH_MERIT * best.merit


def check_ins_of(times: Integers, way: Weighed, merits: Merits, shortest: float) -> CheckIns:
    """Return the check-ins of a collapse."""
    collapse = way.collapse
    firsts, sizes = collapse.firsts_and_sizes(times)
    # A rhythm looked at last is no worse for it once nothing else was better.
    rapid = way.window.high + collapse.gap < shortest
    return CheckIns(
        collapse=collapse,
        starts=times[firsts],
        sizes=sizes,
        left_out=len(first_events(times, collapse.gap)) - len(firsts),
        busy=collapse.busy(times),
        intervals=collapse.intervals(times),
        window=way.window,
        merits=merits.over(RAPID_PENALTY if rapid else 1.0),
    )
