"""Compiled twin of ``reference.episodes``: cut a series at its silences, measure each episode.

A run of events is an episode when its own interval agrees: no silence inside is
long for that interval, and the silences at both ends are.  So neither the place
of an episode in the window nor what happens before or after it can change its
score.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled import shape
from beacon_detect.analysis.compiled.check_ins import (
    fill_merits,
    find_ways,
    is_worth_measuring,
    mean_gap_rate,
    shortest_interval,
    take,
)
from beacon_detect.analysis.compiled.folding import (
    core_interval,
    divided,
    explained_interval,
    fold,
    relative_half_width,
)
from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.regularity import (
    coherence,
    confidence,
    cv_score,
    dispersion,
    jitter_score,
    periodicity_score,
    strongest_line,
)
from beacon_detect.analysis.compiled.trees import log_odds
from beacon_detect.analysis.constants import (
    BEYOND_DOUBT,
    COVERAGE_INTERVALS,
    FEATURE_STEPS,
    LONG_SILENCE,
    LONG_SILENCE_INTERVALS,
    SHAPE_CHECK_INS,
    SHORTEST_EPISODE,
    SILENCE_INTERVALS,
    SILENCES,
    THINNEST_EPISODE,
)
from beacon_detect.analysis.features import FEATURE
from beacon_detect.analysis.interval_bins import BINS_PER_OCTAVE, EDGES, NULL_SHARE, WINDOW_WIDTHS
from beacon_detect.analysis.rows import ROW
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.compiled.check_ins import Way
    from beacon_detect.analysis.compiled.trees import Trees
    from beacon_detect.analysis.compiled.workspace import Workspace

SILENCES_NS = (np.array(SILENCES) * 1e9).astype(np.int64)
NEVER = len(SILENCES)
"""The level above all: no silence is this long."""
ROW_GAPS = MIN_CHECK_INS - 1
"""Every episode has as many gaps or more."""


@jit
def level_of(silence: int) -> int:
    """Return the first level whose silence is at least this many ns."""
    for level in range(NEVER):
        if silence <= SILENCES_NS[level]:
            return level
    return NEVER


@jit
def ending_silence(interval: float) -> float:
    """Return the seconds of silence that end an episode of this interval, before they are rounded up."""
    relative = SILENCE_INTERVALS * interval
    return min(relative, max(LONG_SILENCE, LONG_SILENCE_INTERVALS * interval))


@jit
def longest_interval(silence: float) -> float:
    """Return the longest interval whose episodes a silence of so many seconds ends."""
    intervals = SILENCE_INTERVALS if silence < LONG_SILENCE else LONG_SILENCE_INTERVALS
    return silence / intervals


@jit
def longest_gap(times: Integers) -> int:
    """Return the longest gap, ns."""
    longest = 0
    for i in range(1, len(times)):
        longest = max(longest, times[i] - times[i - 1])
    return longest


@jit
def measure_regularity(
    intervals: Floats,
    interval: float,
    gap: float,
    evidence: float,
    thresholds: Floats,
    w: Workspace,
) -> None:
    """Fill the fields and features of the three documented scores."""
    row = w.row
    mean, deviation, cv, jitter = dispersion(
        w.folded[: len(intervals)], interval, gap, w.residuals, w.histogram
    )
    period, power, alarm = strongest_line(intervals, interval, w)
    recent = intervals[max(len(intervals) - SHAPE_CHECK_INS, 0) :]
    resultant = max(coherence(recent, interval), coherence(recent, period))
    trust = confidence(evidence)
    row[ROW.cv_score] = trust * cv_score(cv, thresholds[0])
    row[ROW.periodicity_score] = trust * periodicity_score(resultant)
    row[ROW.jitter_score] = jitter_score(deviation, mean, thresholds[1])
    row[ROW.interval] = explained_interval(intervals, w.multiples, mean)
    row[ROW.jitter] = jitter
    row[ROW.cv] = cv
    row[ROW.dominant_period] = period
    row[ROW.false_alarm] = alarm
    w.features[FEATURE.trimmed_cv] = min(cv, 2.0)
    w.features[FEATURE.coherence] = resultant
    w.features[FEATURE.line_power] = math.log2(max(power, 0.1))


@jit
def measure_window(way: Way, dead_time: float, rate: float, w: Workspace) -> None:
    """Fill the fields and features of the concentration scan."""
    row, features = w.row, w.features
    width = 0
    while WINDOW_WIDTHS[width] < way.high - way.low:
        width += 1
    row[ROW.window_low] = EDGES[way.low] / rate + dead_time
    row[ROW.window_high] = EDGES[way.high] / rate + dead_time
    row[ROW.window_count] = way.inside
    row[ROW.chance_share] = NULL_SHARE[width, way.low % BINS_PER_OCTAVE] if way.inside else 1.0
    row[ROW.intervals] = way.intervals
    features[FEATURE.check_ins] = math.log2(way.intervals + 1)
    features[FEATURE.core_share] = way.inside / way.intervals
    features[FEATURE.evidence] = math.log1p(way.intervals * way.divergence)
    features[FEATURE.divergence] = way.divergence
    features[FEATURE.window_width] = math.log2(row[ROW.window_high] / row[ROW.window_low])


@jit
def measure_shape(
    intervals: Floats, multiples: Integers, interval: float, gap: float, rate: float, w: Workspace
) -> None:
    """Fill the features of shape; the arguments are the newest check-ins of the episode."""
    features, row = w.features, w.row
    total = len(intervals)
    low, high, count = shape.second_window(intervals, multiples, gap, rate, w.histogram)
    if count:
        row[ROW.second_low] = EDGES[low] / rate + gap
        row[ROW.second_high] = EDGES[high] / rate + gap
    row[ROW.second_count] = count
    explained = 0
    for i in range(total):
        explained += multiples[i] > 0
    features[FEATURE.explained] = explained / total
    features[FEATURE.explained_twice] = (explained + count) / total
    divergence, prominent, quartiles, deciles = shape.spreads(intervals, gap, rate, w.histogram)
    features[FEATURE.octave_divergence] = divergence
    features[FEATURE.prominence] = prominent
    features[FEATURE.quartiles] = quartiles
    features[FEATURE.deciles] = deciles
    cv = shape.folded_cv(intervals, interval, gap)
    features[FEATURE.folded_cv] = cv
    features[FEATURE.log_spread] = shape.fill_logs(intervals, interval, gap, w.xs, w.logs)
    serial, close, near, evidence = shape.neighbours(w.logs[:total], w.xs, w.ys)
    features[FEATURE.serial] = serial
    features[FEATURE.neighbours_close] = close
    features[FEATURE.neighbours_near] = near
    features[FEATURE.local_evidence] = evidence
    features[FEATURE.fano] = shape.fano(intervals, interval, gap)
    time, early, late = shape.active_shares(intervals, multiples, interval, row[ROW.window_low])
    features[FEATURE.explained_time] = time
    features[FEATURE.early] = early
    features[FEATURE.late] = late
    shape.fill_elapsed(intervals, w.elapsed)
    elapsed = w.elapsed[:total]
    features[FEATURE.coverage] = shape.coverage(
        elapsed, COVERAGE_INTERVALS * interval, w.histogram.places
    )
    features[FEATURE.halves] = shape.halves(elapsed)
    features[FEATURE.day_hours] = shape.day_hours(elapsed)
    features[FEATURE.weak_quarter] = shape.weak_quarter(multiples)
    features[FEATURE.schedule_lock] = shape.schedule_lock(intervals, interval, cv, w.xs, w.ys)


@jit
def round_off(features: Floats) -> None:
    """Round to what both implementations agree on, whatever the order of their sums."""
    for i in range(len(features)):
        features[i] = np.rint(features[i] * FEATURE_STEPS) / FEATURE_STEPS


@jit
def merit(row: Floats, weights: Floats) -> float:
    """Return what episodes are compared by: the log odds or, where weights are given, their sum."""
    if weights.sum() == 0:
        return float(row[ROW.log_odds])
    return float(row[0] * weights[0] + row[1] * weights[1] + row[2] * weights[2])


@jit
def measure_check_ins(found: int, left_out: int, missed: int, w: Workspace) -> None:
    """Fill what the collapse and the folding counted."""
    sizes = w.sizes[:found]
    connections = sizes.sum() / found
    w.row[ROW.check_ins] = found
    w.row[ROW.missed] = missed
    w.row[ROW.connections_per_check_in] = connections
    w.row[ROW.left_out] = left_out
    w.features[FEATURE.burst_size] = math.log2(connections)
    w.features[FEATURE.burst_shape] = shape.burst_shape(sizes)
    w.features[FEATURE.kept] = found / (found + left_out)


@jit
def measure_way(
    times: Integers,
    way: Way,
    inner: int,
    outer: int,
    forced: bool,
    thresholds: Floats,
    trees: Trees,
    w: Workspace,
) -> bool:
    """Measure the check-ins of one collapse if their own interval makes the run an episode."""
    rate = mean_gap_rate(times)
    found, left_out, busy = take(times, way, w)
    intervals = w.intervals[: found - 1]
    gap = way.gap + busy  # no interval can be shorter
    lowest, highest = EDGES[way.low] / rate + gap, EDGES[way.high] / rate + gap
    interval = core_interval(intervals, lowest, highest)
    level = level_of(int(ending_silence(interval) * 1e9))
    if not forced and not (inner <= level < outer and interval >= shortest_interval(times)):
        return False
    w.row[:] = 0.0
    missed = fold(intervals, lowest, highest, interval, w)
    evidence = way.intervals * way.divergence
    measure_check_ins(found, left_out, missed, w)
    w.row[ROW.busy] = busy
    measure_window(way, gap, rate, w)
    measure_regularity(intervals, interval, gap, evidence, thresholds, w)
    # Chance has fractions, too, and nobody asks for its sleep.
    if confidence(evidence) > 0:
        half_width = relative_half_width(lowest, highest, interval)
        sleep, skipped = divided(intervals, w.multiples[: found - 1], interval, half_width)
        if sleep > 0:
            w.row[ROW.interval], w.row[ROW.missed] = sleep, skipped
    newest = max(found - 1 - SHAPE_CHECK_INS, 0)
    measure_shape(intervals[newest:], w.multiples[newest : found - 1], interval, gap, rate, w)
    w.features[FEATURE.growth] = shape.growth(times)
    round_off(w.features)
    w.row[ROW.log_odds] = log_odds(w.features, trees, w.reachable)
    return True


@jit
def measure_run(
    times: Integers,
    inner: int,
    outer: int,
    forced: bool,
    thresholds: Floats,
    weights: Floats,
    trees: Trees,
    w: Workspace,
) -> bool:
    """Measure a run of events into ``w.row`` and ``w.features`` if it is an episode.

    ``inner`` is the level of its longest gap, ``outer`` the one at which it joins
    its neighbours; ``forced`` measures it in any case.  Of the two best ways to
    collapse it the one with more evidence leads if it is beyond doubt, else the one
    that looks most like a beacon.
    """
    rate, shortest = mean_gap_rate(times), shortest_interval(times)
    collapses, best, second, uncollapsed = find_ways(times, rate, shortest, w)
    if collapses == 0:
        return False
    rapid = EDGES[best.high] / rate + best.gap < shortest
    fill_merits(w.features, collapses, best.merit, second.merit, uncollapsed, rapid)
    done = measure_way(times, best, inner, outer, forced, thresholds, trees, w)
    sure = done and weights.sum() == 0 and w.row[ROW.log_odds] >= BEYOND_DOUBT
    if sure or not is_worth_measuring(second, best):
        return done
    w.best_row[:] = w.row
    w.best_features[:] = w.features
    rapid = EDGES[second.high] / rate + second.gap < shortest
    fill_merits(w.features, collapses, second.merit, best.merit, uncollapsed, rapid)
    other = measure_way(times, second, inner, outer, forced, thresholds, trees, w)
    if done and not (other and merit(w.row, weights) > merit(w.best_row, weights)):
        w.row[:] = w.best_row
        w.features[:] = w.best_features
    return done or other


@jit
def may_hold_episodes(times: Integers) -> bool:
    """Tell whether a run is long enough to be an episode or to hold one."""
    if len(times) < MIN_CHECK_INS:
        return False
    return bool((times[-1] - times[0]) * 1e-9 >= SHORTEST_EPISODE)


@jit
def is_thin(times: Integers, outer: int) -> bool:
    """Tell cheaply that a run that joins its neighbours at level ``outer`` is no episode itself.

    Its parts may be: a beacon and what follows it are thin together.
    """
    if outer > NEVER:
        return False
    mean_gap = (times[-1] - times[0]) * 1e-9 / (len(times) - 1)
    longest = longest_interval(SILENCES_NS[outer - 1] * 1e-9)
    return bool(mean_gap > THINNEST_EPISODE * longest)


@jit
def shortest_row(times: Integers) -> int:
    """Return the least ns that any ``ROW_GAPS`` gaps in a row take; there are at least as many."""
    shortest = times[-1] - times[0]
    for i in range(ROW_GAPS, len(times)):
        shortest = min(shortest, times[i] - times[i - ROW_GAPS])
    return int(shortest)


@jit
def parts_are_thin(times: Integers, level: int) -> bool:
    """Tell cheaply that no part of a run, cut at silences of ``level - 1`` or less, is an episode.

    A part of k gaps holds k // ``ROW_GAPS`` rows that do not overlap, so its mean gap is at
    least the shortest row over ``2 ROW_GAPS - 1``.  Saves most of the cuts of random traffic.
    """
    mean_gap = shortest_row(times) * 1e-9 / (2 * ROW_GAPS - 1)
    longest = longest_interval(SILENCES_NS[level - 1] * 1e-9)
    return bool(mean_gap > THINNEST_EPISODE * longest)


@jit
def push_parts(
    times: Integers, first: int, last: int, level: int, stack: Integers, depth: int
) -> int:
    """Push the parts of a run that silences of ``level - 1`` cut; return the new depth."""
    limit = SILENCES_NS[level - 1]
    begin = first
    for i in range(first + 1, last + 1):
        if i == last or times[i] - times[i - 1] > limit:
            if may_hold_episodes(times[begin:i]):
                stack[depth] = begin
                stack[depth + 1] = i
                stack[depth + 2] = level
                depth += 3
            begin = i
    return depth


@jit
def measure_series(
    times: Integers,
    thresholds: Floats,
    weights: Floats,
    trees: Trees,
    w: Workspace,
    row: Floats,
    features: Floats,
) -> None:
    """Measure the leading episode of a series into ``row`` and ``features``."""
    best, episodes = -np.inf, 0
    stack = w.stack
    stack[0], stack[1], stack[2] = 0, len(times), NEVER + 1
    depth = 3 if len(times) >= MIN_CHECK_INS else 0
    while depth > 0:
        depth -= 3
        first, last, outer = stack[depth], stack[depth + 1], stack[depth + 2]
        run = times[first:last]
        inner = level_of(longest_gap(run))
        thin = is_thin(run, outer)
        if not thin and measure_run(run, inner, outer, False, thresholds, weights, trees, w):
            episodes += 1
            if merit(w.row, weights) > best:
                best = merit(w.row, weights)
                row[:] = w.row
                row[ROW.first_event], row[ROW.last_event] = first, last - 1
                features[:] = w.features
        if inner > 0 and not parts_are_thin(run, inner):
            depth = push_parts(times, first, last, inner, stack, depth)
    whole = episodes == 0 and len(times) >= MIN_CHECK_INS
    if whole and measure_run(times, 0, NEVER + 1, True, thresholds, weights, trees, w):
        row[:] = w.row
        row[ROW.last_event] = len(times) - 1
        features[:] = w.features
    row[ROW.episodes] = episodes
