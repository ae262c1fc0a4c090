"""Episodes: a series cut at its silences, each run measured, in plain NumPy.

A run of events is an episode when its own interval agrees: no silence inside is
long for that interval, and the silences at both ends are.  So neither the place
of an episode in the window nor what happens before or after it can change its
score.  Limit: silences are compared in steps of two (``SILENCES``), so the same
silence may end a 29 s beacon and not a 31 s one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.constants import (
    BEYOND_DOUBT,
    FEATURE_STEPS,
    LONG_SILENCE,
    LONG_SILENCE_INTERVALS,
    MERIT_FLOOR,
    SHAPE_CHECK_INS,
    SHORTEST_EPISODE,
    SILENCE_INTERVALS,
    SILENCES,
    THINNEST_EPISODE,
)
from beacon_detect.analysis.features import FEATURE, FEATURES
from beacon_detect.analysis.forest import log_odds
from beacon_detect.analysis.interval_bins import EDGES
from beacon_detect.analysis.reference import shape
from beacon_detect.analysis.reference.check_ins import (
    find_check_ins,
    mean_gap_rate,
    shortest_interval,
)
from beacon_detect.analysis.reference.folding import Folded, divided, fold
from beacon_detect.analysis.reference.regularity import (
    coherence,
    confidence,
    cv_score,
    dispersion,
    jitter_score,
    periodicity_score,
    strongest_line,
)
from beacon_detect.analysis.rows import ROW, ROW_FIELDS
from beacon_detect.analysis.types import MIN_CHECK_INS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.forest import Forest
    from beacon_detect.analysis.reference.check_ins import CheckIns
    from beacon_detect.analysis.types import Settings

SILENCES_NS = (np.array(SILENCES) * 1e9).astype(np.int64)
NEVER = len(SILENCES)
"""The level above all: no silence is this long."""


@dataclass(frozen=True, slots=True)
class Run:
    """Events ``first <= i < last`` that a silence of level ``outer`` joins to their neighbours."""

    first: int
    last: int
    outer: int


@dataclass(frozen=True, slots=True)
class Episode:
    """One measured episode: its fields and features, in the order of ``ROW_FIELDS`` and ``FEATURES``."""

    row: Floats
    features: Floats
    found: CheckIns


def merit(episode: Episode, settings: Settings) -> float:
    """Return what episodes are compared by: the log odds or, when weighted, the weighted sum."""
    if settings.scoring == "calibrated":
        return float(episode.row[ROW.log_odds])
    return float(episode.row[:3] @ np.array(settings.weights))


def level_of(silence: int) -> int:
    """Return the first level whose silence is at least this many ns."""
    return int(np.searchsorted(SILENCES_NS, silence))


def ending_silence(interval: float) -> float:
    """Return the seconds of silence that end an episode of this interval, before they are rounded up."""
    relative = SILENCE_INTERVALS * interval
    return min(relative, max(LONG_SILENCE, LONG_SILENCE_INTERVALS * interval))


def longest_interval(silence: float) -> float:
    """Return the longest interval whose episodes a silence of so many seconds ends."""
    intervals = SILENCE_INTERVALS if silence < LONG_SILENCE else LONG_SILENCE_INTERVALS
    return silence / intervals


def runs(times: Integers) -> Iterator[tuple[Run, int]]:
    """Yield every distinct run at every level of silence, but thin ones, with the level of its longest gap."""
    pending = [Run(0, len(times), NEVER + 1)] if len(times) >= MIN_CHECK_INS else []
    while pending:
        run = pending.pop()
        gaps = np.diff(times[run.first : run.last])
        inner = level_of(int(gaps.max()))
        if not is_thin(times[run.first : run.last], run.outer):
            yield run, inner
        if inner > 0:
            cuts = run.first + 1 + np.flatnonzero(gaps > SILENCES_NS[inner - 1])
            bounds = [run.first, *cuts.tolist(), run.last]
            for first, last in pairwise(bounds):
                if may_hold_episodes(times[first:last]):
                    pending.append(Run(first, last, inner))


def may_hold_episodes(times: Integers) -> bool:
    """Tell whether a run is long enough to be an episode or to hold one."""
    if len(times) < MIN_CHECK_INS:
        return False
    return float(times[-1] - times[0]) * 1e-9 >= SHORTEST_EPISODE


def is_thin(times: Integers, outer: int) -> bool:
    """Tell cheaply that a run that joins its neighbours at level ``outer`` is no episode itself.

    Its parts may be: a beacon and what follows it are thin together.
    """
    if outer > NEVER:
        return False
    mean_gap = float(times[-1] - times[0]) * 1e-9 / (len(times) - 1)
    return mean_gap > THINNEST_EPISODE * longest_interval(float(SILENCES_NS[outer - 1]) * 1e-9)


def measure_run(
    times: Integers, levels: range | None, settings: Settings, forest: Forest
) -> Episode | None:
    """Measure a run of events if it is an episode: of the ways to collapse it, the one that leads.

    That is the first, which has the most evidence, if it is beyond doubt; else the
    one that looks most like a beacon.

    Parameters
    ----------
    times
        Event times of the run, ns.
    levels
        Levels at which the run is cut neither inside nor from its neighbours;
        ``None`` measures it in any case.
    settings, forest
        Thresholds and model.
    """
    best: Episode | None = None
    for found in find_check_ins(times):
        episode = measure_way(times, found, levels, settings, forest)
        if episode and (best is None or merit(episode, settings) > merit(best, settings)):
            best = episode
        if best and is_beyond_doubt(best, settings):
            break
    return best


def is_beyond_doubt(episode: Episode, settings: Settings) -> bool:
    """Tell whether no other way to collapse its run need be looked at."""
    return settings.scoring == "calibrated" and episode.row[ROW.log_odds] >= BEYOND_DOUBT


def measure_way(
    times: Integers, found: CheckIns, levels: range | None, settings: Settings, forest: Forest
) -> Episode | None:
    """Measure the check-ins of one collapse if their own interval makes the run an episode."""
    folded = fold(found)
    level = level_of(int(ending_silence(folded.interval) * 1e9))
    if levels is not None and (level not in levels or folded.interval < shortest_interval(times)):
        return None
    episode = Episode(np.zeros(len(ROW_FIELDS)), np.zeros(len(FEATURES)), found)
    rate = mean_gap_rate(times)
    measure_check_ins(episode, found, folded)
    measure_window(episode, found)
    measure_regularity(episode, found, folded, settings)
    measure_shape(episode, found, folded, rate)
    episode.features[FEATURE.growth] = shape.growth(times)
    episode.features[:] = np.rint(episode.features * FEATURE_STEPS) / FEATURE_STEPS
    episode.row[ROW.log_odds] = log_odds(episode.features[None, :], forest)[0]
    return episode


def measure_check_ins(episode: Episode, found: CheckIns, folded: Folded) -> None:
    """Fill what the collapse and the folding counted."""
    check_ins, connections = len(found.starts), float(found.sizes.mean())
    episode.row[ROW.check_ins] = check_ins
    episode.row[ROW.missed] = folded.missed
    episode.row[ROW.connections_per_check_in] = connections
    episode.row[ROW.left_out] = found.left_out
    episode.features[FEATURE.burst_size] = math.log2(connections)
    episode.features[FEATURE.burst_shape] = shape.burst_shape(found.sizes)
    episode.features[FEATURE.kept] = check_ins / (check_ins + found.left_out)
    merits = found.merits
    episode.features[FEATURE.collapses] = merits.collapses
    episode.features[FEATURE.runner_up] = merit_ratio(merits.other, merits.own)
    episode.features[FEATURE.uncollapsed] = merit_ratio(merits.uncollapsed, merits.own)
    episode.features[FEATURE.raw_merit] = math.log1p(merits.uncollapsed)


def merit_ratio(other: float, own: float) -> float:
    """Return log2 of one merit over another, 0 where neither is any."""
    return math.log2((other + MERIT_FLOOR) / (own + MERIT_FLOOR))


def measure_window(episode: Episode, found: CheckIns) -> None:
    """Fill the fields and features of the concentration scan."""
    row, features, window = episode.row, episode.features, found.window
    intervals = len(found.intervals)
    row[ROW.busy] = found.busy
    row[ROW.window_low] = window.low + found.dead_time
    row[ROW.window_high] = window.high + found.dead_time
    row[ROW.window_count] = window.count
    row[ROW.chance_share] = window.chance
    row[ROW.intervals] = intervals
    features[FEATURE.check_ins] = math.log2(intervals + 1)
    features[FEATURE.core_share] = window.count / intervals
    features[FEATURE.evidence] = math.log1p(intervals * window.divergence)
    features[FEATURE.divergence] = window.divergence
    features[FEATURE.window_width] = math.log2(row[ROW.window_high] / row[ROW.window_low])


def measure_regularity(
    episode: Episode, found: CheckIns, folded: Folded, settings: Settings
) -> None:
    """Fill the fields and features of the three documented scores."""
    row, features = episode.row, episode.features
    spread = dispersion(folded, found.dead_time)
    line = strongest_line(found.intervals, folded.interval)
    recent = found.intervals[-SHAPE_CHECK_INS:]
    resultant = max(coherence(recent, period) for period in (folded.interval, line.period))
    trust = confidence(len(found.intervals) * found.window.divergence)
    row[ROW.cv_score] = trust * cv_score(spread.cv, settings.cv_threshold)
    row[ROW.periodicity_score] = trust * periodicity_score(resultant)
    row[ROW.jitter_score] = jitter_score(
        spread.deviation, spread.interval, settings.jitter_threshold
    )
    row[ROW.interval] = folded.explained_interval or spread.interval
    # Chance has fractions, too, and nobody asks for its sleep.
    if trust > 0 and (fraction := divided(folded)):
        row[ROW.interval], row[ROW.missed] = fraction
    row[ROW.jitter] = spread.jitter
    row[ROW.cv] = spread.cv
    row[ROW.dominant_period] = line.period
    row[ROW.false_alarm] = line.false_alarm
    features[FEATURE.trimmed_cv] = min(spread.cv, 2.0)
    features[FEATURE.coherence] = resultant
    features[FEATURE.line_power] = math.log2(max(line.power, 0.1))


def measure_shape(episode: Episode, found: CheckIns, folded: Folded, rate: float) -> None:
    """Fill the features of shape from the newest check-ins of the episode."""
    row, features = episode.row, episode.features
    x, multiples = found.intervals[-SHAPE_CHECK_INS:], folded.multiples[-SHAPE_CHECK_INS:]
    interval, gap = folded.interval, found.dead_time
    second = shape.second_window(x, multiples, gap, rate)
    if second:
        row[ROW.second_low] = EDGES[second.low_bin] / rate + gap
        row[ROW.second_high] = EDGES[second.high_bin] / rate + gap
        row[ROW.second_count] = second.count
    explained = int((multiples > 0).sum())
    features[FEATURE.explained] = explained / len(x)
    features[FEATURE.explained_twice] = (explained + row[ROW.second_count]) / len(x)
    features[
        [FEATURE.octave_divergence, FEATURE.prominence, FEATURE.quartiles, FEATURE.deciles]
    ] = shape.spreads(x - gap, rate)
    cv = shape.folded_cv(x, interval, gap)
    values, spread = shape.logs(x, interval, gap)
    features[FEATURE.folded_cv] = cv
    features[FEATURE.log_spread] = spread
    features[
        [
            FEATURE.serial,
            FEATURE.neighbours_close,
            FEATURE.neighbours_near,
            FEATURE.local_evidence,
        ]
    ] = shape.neighbours(values)
    features[FEATURE.fano] = shape.fano(x, interval, gap)
    features[[FEATURE.explained_time, FEATURE.coverage, FEATURE.early, FEATURE.late]] = (
        shape.active_shares(x, multiples, interval, row[ROW.window_low])
    )
    features[FEATURE.halves] = shape.halves(x)
    features[FEATURE.weak_quarter] = shape.weak_quarter(multiples)
    features[FEATURE.schedule_lock] = shape.schedule_lock(x, interval, cv)
    features[FEATURE.day_hours] = shape.day_hours(x)


def episodes(times: Integers, settings: Settings, forest: Forest) -> list[Episode]:
    """Measure every episode of a series; the whole series where it has none.

    Parameters
    ----------
    times
        Event times, ns, ascending.
    settings, forest
        Thresholds and model.

    Returns
    -------
    list of Episode
        In no particular order; empty when there are too few check-ins.
    """
    found: list[Episode] = []
    for run, inner in runs(times):
        levels = range(inner, run.outer)
        episode = measure_run(times[run.first : run.last], levels, settings, forest)
        if episode is not None:
            episode.row[[ROW.first_event, ROW.last_event]] = run.first, run.last - 1
            found.append(episode)
    for episode in found:
        episode.row[ROW.episodes] = len(found)
    if not found:
        whole = measure_run(times, None, settings, forest)
        if whole is not None:
            whole.row[ROW.last_event] = len(times) - 1
            found.append(whole)
    return found
