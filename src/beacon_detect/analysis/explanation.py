"""One series in full: its episodes, its intervals as a histogram, its changes of sleep.

What the analysis reduces to a row of numbers is laid open here for one series, for
people who want to see it.  Limit: it takes the NumPy path, a few milliseconds for a
thousand events; it is not for every pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.attribution import (
    Attribution,
    attribute,
    clock_features,
    random_features,
)
from beacon_detect.analysis.constants import (
    FOLD_SLACK,
    FOLD_TOLERANCE_LIMIT,
    LATE_INTERVALS,
    MAX_MULTIPLE,
    MIN_HALF_WIDTH,
    ROUNDING,
)
from beacon_detect.analysis.engine import list_episodes
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.check_ins import Collapse
from beacon_detect.analysis.reference.folding import fold
from beacon_detect.analysis.reference.shape import size_share
from beacon_detect.analysis.types import Results

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.reference.check_ins import CheckIns
    from beacon_detect.analysis.reference.folding import Folded
    from beacon_detect.analysis.types import Settings

BARS_PER_INTERVAL = 20
"""Bars of the histogram in one interval: 5 % each."""
MAX_BARS = int(LATE_INTERVALS * BARS_PER_INTERVAL)
"""Bars of the histogram; longer intervals are counted apart."""
LIKELY_EPISODE = 0.5
"""Score from which an episode is a beacon that may have changed its sleep (taste)."""
CHANGED_BY = 1.2
"""Ratio of two intervals from which the sleep has changed (taste)."""
CLEAR_SHARE = 0.9
"""Share of the intervals that must lie on the right side of a change (taste)."""
SIDE_INTERVALS = 3
"""Fewest intervals before and after a change inside an episode."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each interval occurred, as bars of equal width.

    Parameters
    ----------
    edges
        Seconds, ascending; bar i counts ``edges[i] <= x < edges[i + 1]``.
    counts, explained
        Intervals in each bar, and how many of them lie in the densest window or near
        a multiple of the interval.
    multiples
        1 where the bar lies in the densest window, k near k intervals, else 0.
    longer
        Intervals beyond the last edge.
    """

    edges: Floats
    counts: Integers
    explained: Integers
    multiples: Integers
    longer: int


@dataclass(frozen=True, slots=True)
class SleepChange:
    """From one interval to another, seconds; ``event`` is the position in the series where it shows."""

    event: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class SeriesExplanation:
    """One series in full.

    Parameters
    ----------
    events
        Events in the series.
    check_ins
        Position of the first event of every check-in of the series, collapsed as the
        leading episode is.
    episodes
        One row each, the leading first; empty when there are too few check-ins. Sizes
        are those of the leading episode.
    intervals
        Seconds between the check-ins of the leading episode, of the series without one.
    histogram
        Of these intervals.
    sized
        Whether any event of the leading episode has a size; many logs know none.
    sleep_changes
        In the order of time.
    against_random, against_clock
        What speaks for a beacon when compared with random traffic, and what against it
        when compared with a clock; None without an episode.
    """

    events: int
    check_ins: Integers
    episodes: Results
    intervals: Floats
    histogram: Histogram
    sized: bool = False
    sleep_changes: tuple[SleepChange, ...] = ()
    against_random: Attribution | None = None
    against_clock: Attribution | None = None

    @property
    def scored(self) -> bool:
        """Whether there were enough check-ins for a score."""
        return len(self.episodes) > 0


def explain_series(
    times: Integers, bytes_out: Integers, bytes_in: Integers, settings: Settings
) -> SeriesExplanation:
    """Explain one series.

    Parameters
    ----------
    times
        Event times, ns, ascending.
    bytes_out, bytes_in
        Sizes of the events.
    settings
        Thresholds, weights and the kind of score.
    """
    episodes, check_ins = list_episodes(times, settings)
    if not check_ins:
        return _unscored(times)
    first, last = int(episodes.first_event[0]), int(episodes.last_event[0]) + 1
    found = check_ins[0]
    folded = fold(found)
    episodes.size_out[0] = size_share(bytes_out[first:last])
    episodes.size_in[0] = size_share(bytes_in[first:last])
    changes = (*_change_inside(times, found, episodes), *_changes_between(episodes))
    forest = load_model().forest
    length, interval = int(episodes.check_ins[0]), float(episodes.interval[0])
    against = [
        attribute(episodes.features[0], background(length, interval, forest), forest)
        for background in (random_features, clock_features)
    ]
    return SeriesExplanation(
        events=len(times),
        check_ins=found.collapse.firsts(times),
        episodes=episodes,
        intervals=found.intervals,
        histogram=_histogram(found, folded),
        sized=bool(bytes_out[first:last].any() or bytes_in[first:last].any()),
        sleep_changes=tuple(sorted(changes, key=lambda change: change.event)),
        against_random=against[0],
        against_clock=against[1],
    )


def _unscored(times: Integers) -> SeriesExplanation:
    """Return what can be said of a series with too few check-ins."""
    firsts = Collapse().firsts(times) if len(times) else times
    intervals = np.diff(times[firsts]) * 1e-9
    return SeriesExplanation(
        events=len(times),
        check_ins=firsts,
        episodes=Results(),
        intervals=intervals,
        histogram=_plain_histogram(intervals),
    )


def _plain_histogram(intervals: Floats) -> Histogram:
    """Return bars up to the longest interval, none of them explained."""
    if not len(intervals):
        none = np.zeros(0, np.int64)
        return Histogram(np.zeros(1), none, none, none, 0)
    counts, edges = np.histogram(intervals, BARS_PER_INTERVAL, (0.0, float(intervals.max())))
    return Histogram(edges, counts, np.zeros_like(counts), np.zeros_like(counts), 0)


def _histogram(found: CheckIns, folded: Folded) -> Histogram:
    """Return the intervals as bars of a twentieth of the interval, in step with the window."""
    x, interval = found.intervals, folded.interval
    low, high = found.window.low + found.dead_time, found.window.high + found.dead_time
    width = interval / BARS_PER_INTERVAL
    # A bar begins where the window does, so that its edge is seen.
    start = -(-low % width)
    bars = min(int((float(x.max()) - start) / width) + 1, MAX_BARS)
    edges = np.maximum(start + width * np.arange(bars + 1), 0.0)
    place = ((x - start) / width).astype(np.int64)
    shown = place < bars
    explained = shown & (folded.multiples > 0)
    middles = (edges[:-1] + edges[1:]) / 2
    return Histogram(
        edges=edges,
        counts=np.bincount(place[shown], minlength=bars),
        explained=np.bincount(place[explained], minlength=bars),
        multiples=_multiples(middles, low, high, interval, width),
        longer=int(len(x) - shown.sum()),
    )


def _multiples(middles: Floats, low: float, high: float, interval: float, width: float) -> Integers:
    """Return which multiple of the interval each bar lies at, as the folding reads it."""
    nearest = np.clip(np.floor(middles / interval + 0.5), 1, MAX_MULTIPLE).astype(np.int64)
    half_width = max((high - low) / (2 * interval), MIN_HALF_WIDTH)
    tolerance = half_width * np.sqrt(nearest) * FOLD_SLACK
    half_bar = (0.5 + ROUNDING) * width
    near = np.abs(middles - nearest * interval) <= tolerance * interval + half_bar
    near &= tolerance < FOLD_TOLERANCE_LIMIT
    inside = (middles + half_bar > low) & (middles - half_bar < high)
    multiples: Integers = np.where(inside, 1, np.where(near & (nearest >= 2), nearest, 0))
    return multiples


def _change_inside(times: Integers, found: CheckIns, episodes: Results) -> list[SleepChange]:
    """Return where the leading episode turns from one window of intervals to the other, if it does."""
    low, high = float(episodes.second_low[0]), float(episodes.second_high[0])
    window = found.window
    x = found.intervals
    first = (x >= window.low + found.dead_time) & (x < window.high + found.dead_time)
    second = (x >= low) & (x < high) & ~first
    places = np.flatnonzero(first | second)
    if second.sum() < SIDE_INTERVALS:
        return []
    # Of n labelled intervals the first k before the change, the others after it.
    later = second[places].astype(np.int64)
    ones = np.concatenate(([0], np.cumsum(later)))
    k = np.arange(len(later) + 1)
    right = (k - ones) + (ones[-1] - ones)  # first window before, second after
    agreeing = np.maximum(right, len(later) - right)
    best = int(np.argmax(agreeing))
    if not SIDE_INTERVALS <= best <= len(later) - SIDE_INTERVALS:
        return []
    if agreeing[best] < CLEAR_SHARE * len(later):
        return []
    sleeps = float(x[first].mean()), float(x[second].mean())
    before, after = sleeps if right[best] == agreeing[best] else sleeps[::-1]
    start = found.starts[places[best]]
    return [SleepChange(int(np.searchsorted(times, start)), before, after)]


def _changes_between(episodes: Results) -> list[SleepChange]:
    """Return where the next likely episode has another interval."""
    rows = np.flatnonzero(episodes.score >= LIKELY_EPISODE)
    rows = rows[np.argsort(episodes.first_event[rows])].tolist()
    changes = []
    for row, following in pairwise(rows):
        before, after = float(episodes.interval[row]), float(episodes.interval[following])
        apart = episodes.first_event[following] > episodes.last_event[row]
        if apart and max(before, after) >= CHANGED_BY * min(before, after):
            changes.append(SleepChange(int(episodes.first_event[following]), before, after))
    return changes
