"""The one call of the detection core: series in, scored columns out.

It chooses the implementation, turns log odds into scores, weighs the component
scores and names the series that are too short to score.  Limit: it holds every
row of a batch in memory, about 800 bytes a series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.analysis import reference
from beacon_detect.analysis.compiled_cache import is_loaded, load_compiled
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.reference.episodes import episodes
from beacon_detect.analysis.rows import ROW
from beacon_detect.analysis.types import (
    MIN_CHECK_INS,
    SURE_CHECK_INS,
    Abstention,
    Results,
    SeriesBatch,
    Settings,
)

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.reference.check_ins import CheckIns

SMALL_BATCH = 1_500
"""Batches of no more work than this take the NumPy path (a second or two), while the compiler may need half a minute;
a process that has the compiled code already uses it for every batch."""
EVENTS_PER_SERIES = 1_000
"""Events that cost the NumPy path as much as one more series (measured)."""
CAUTIOUS_SCORE = 0.799
"""The most that fewer than ``SURE_CHECK_INS`` check-ins can reach: just below HIGH."""
JITTER_SIDED = 0.05
"""With less jitter the edge and the centre of the intervals are the same for any purpose."""
ROUND_SLEEPS = np.array(
    [unit * count for unit in (1, 60, 3_600) for count in (1, 2, 3, 5, 10, 15, 20, 30, 45)]
    + [86_400]
)
"""Seconds that people configure."""


def analyze(series: SeriesBatch, settings: Settings) -> Results:
    """Score every series of a batch.

    Parameters
    ----------
    series
        Event times (ns, ascending in each series) and sizes.
    settings
        Thresholds, weights and the kind of score.

    Returns
    -------
    Results
        One row per series, in order: its leading episode.  The same input gives
        the same output, up to the rounding in which the implementations differ.
    """
    scorable = int((np.diff(series.offsets) >= MIN_CHECK_INS).sum())
    small = scorable + len(series.times) / EVENTS_PER_SERIES <= SMALL_BATCH and not is_loaded()
    measure = reference.measure if small else load_compiled().measure
    rows, features = measure(series, settings, load_model().forest)
    return to_results(rows, features, settings)


def list_episodes(times: Integers, settings: Settings) -> tuple[Results, list[CheckIns]]:
    """Measure every episode of one series, the best first.

    Parameters
    ----------
    times
        Event times, ns, ascending.
    settings
        Thresholds, weights and the kind of score.

    Returns
    -------
    results
        One row per episode; sizes are not looked at.
    check_ins
        Those of each episode; positions count from its first event.
    """
    found = episodes(times, settings, load_model().forest)
    found.sort(key=lambda episode: reference.merit(episode, settings), reverse=True)
    if not found:
        return Results(), []
    rows = np.stack([episode.row for episode in found])
    features = np.stack([episode.features for episode in found])
    return to_results(rows, features, settings), [episode.found for episode in found]


def warm_up() -> None:
    """Compile and cache the fast path now, so that the first large batch does not wait for it."""
    one = SeriesBatch.from_lists([np.arange(MIN_CHECK_INS + 1) * 1_000_000_000])
    load_compiled().measure(one, Settings(), load_model().forest)


def to_results(rows: Floats, features: Floats, settings: Settings) -> Results:
    """Turn measured rows into scored columns."""
    check_ins = rows[:, ROW.check_ins].astype(np.int64)
    abstained = check_ins < MIN_CHECK_INS
    base = rows[:, :3] @ (np.array(settings.weights) / sum(settings.weights))
    calibrated = load_model().calibrate(rows[:, ROW.log_odds])
    score = calibrated if settings.scoring == "calibrated" else base.copy()
    score = np.where(check_ins < SURE_CHECK_INS, np.minimum(score, CAUTIOUS_SCORE), score)
    counts: dict[str, Any] = {
        name: rows[:, getattr(ROW, name)].astype(np.int64)
        for name in ("missed", "left_out", "intervals", "window_count", "second_count", "episodes",
                     "first_event", "last_event")
    }  # fmt: skip
    measured: dict[str, Any] = {
        name: rows[:, getattr(ROW, name)].copy()
        for name in ("cv_score", "periodicity_score", "jitter_score", "interval", "jitter", "cv",
                     "dominant_period", "connections_per_check_in", "log_odds", "false_alarm",
                     "chance_share", "window_low", "window_high", "second_low", "second_high",
                     "size_out", "size_in")
    }  # fmt: skip
    return Results(
        score=np.where(abstained, 0.0, score),
        base_score=np.where(abstained, 0.0, base),
        check_ins=check_ins,
        abstained=np.where(abstained, Abstention.TOO_FEW_CHECK_INS, Abstention.NONE).astype(np.int64),
        configured_sleep=configured_sleep(rows),
        features=features,
        **counts,
        **measured,
    )  # fmt: skip


def configured_sleep(rows: Floats) -> Floats:
    """Return the sleep an operator probably configured, seconds.

    Cobalt Strike only shortens its sleep, others jitter to both sides, and both
    look the same from outside.  But people configure round numbers: of the
    centre and the upper edge of the intervals, the rounder one is returned.
    """
    # An implant that works before it sleeps has configured only the pause.
    centre = rows[:, ROW.interval] - rows[:, ROW.busy]
    edge = centre + rows[:, ROW.interval] * rows[:, ROW.jitter]
    sided = rows[:, ROW.jitter] > JITTER_SIDED
    sleep: Floats = np.where(sided & (_roughness(edge) < _roughness(centre)), edge, centre)
    return sleep


def _roughness(seconds: Floats) -> Floats:
    """Return the relative distance to the nearest number of seconds that people configure."""
    known = np.log(ROUND_SLEEPS)
    wanted = np.log(np.maximum(seconds, 1e-3))
    nearest: Floats = np.abs(wanted[:, None] - known[None, :]).min(axis=1)
    return nearest
