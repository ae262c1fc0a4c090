"""All series of a batch on all cores, each thread with buffers of its own.

Slices are cut by events, not by series, so that one huge pair does not leave the
other threads idle for long.  Limit: a thread's buffers are as long as the
longest series, about 40 bytes an event.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.check_ins import HALVES, find_check_ins
from beacon_detect.analysis.compiled.folding import fold
from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.regularity import (
    LINES,
    coherence,
    confidence,
    cv_score,
    dispersion,
    dominant_period,
    jitter_score,
    periodicity_score,
)
from beacon_detect.analysis.constants import RESIDUAL_BINS, SPECTRUM_CHECK_INS
from beacon_detect.analysis.interval_bins import BINS
from beacon_detect.analysis.rows import ROW_FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.types import SeriesBatch, Settings

(
    CV_SCORE, PERIODICITY_SCORE, JITTER_SCORE, INTERVAL, JITTER, CV, DOMINANT_PERIOD, CHECK_INS,
    MISSED, CONNECTIONS_PER_CHECK_IN,
) = range(len(ROW_FIELDS))  # fmt: skip
SLICES_PER_THREAD = 4


@jit
def measure_slice(
    offsets: Integers,
    times: Integers,
    first: int,
    last: int,
    longest: int,
    thresholds: Floats,
    rows: Floats,
) -> None:
    """Measure the series ``first <= i < last`` into ``rows``."""
    starts = np.empty(longest, np.int64)
    scaled = np.empty(longest)
    intervals = np.empty(longest)
    folded = np.empty(longest)
    counts = np.zeros(BINS, np.int64)
    seconds = np.zeros(BINS)
    halves = np.zeros(HALVES + 2, np.int64)
    residuals = np.zeros(RESIDUAL_BINS + 1, np.int64)
    bins = np.zeros(SPECTRUM_CHECK_INS + 1, np.int64)
    power = np.zeros(LINES)
    for index in range(first, last):
        series = times[offsets[index] : offsets[index + 1]]
        if len(series) == 0:
            continue
        found, gap, low, high, divergence = find_check_ins(
            series, starts, scaled, counts, seconds, halves
        )
        if found == 0:
            continue
        for i in range(found - 1):
            intervals[i] = (starts[i + 1] - starts[i]) * 1e-9
        x, u = intervals[: found - 1], folded[: found - 1]
        interval, missed = fold(x, low + gap, high + gap, u)
        mean, deviation, cv, jitter = dispersion(u, interval, gap, residuals)
        period = dominant_period(x, interval, bins, power)
        resultant = max(coherence(x, interval), coherence(x, period))
        trust = confidence((found - 1) * divergence)
        row = rows[index]
        row[CV_SCORE] = trust * cv_score(cv, thresholds[0])
        row[PERIODICITY_SCORE] = trust * periodicity_score(resultant)
        row[JITTER_SCORE] = jitter_score(deviation, mean, thresholds[1])
        row[INTERVAL] = mean
        row[JITTER] = jitter
        row[CV] = cv
        row[DOMINANT_PERIOD] = period
        row[CHECK_INS] = found
        row[MISSED] = missed
        row[CONNECTIONS_PER_CHECK_IN] = len(series) / found


def slice_bounds(offsets: NDArray[np.int64], slices: int) -> NDArray[np.int64]:
    """Cut the series into slices of about equally many events.

    Parameters
    ----------
    offsets
        Offsets of the batch.
    slices
        How many slices to aim at.

    Returns
    -------
    numpy.ndarray
        Ascending series numbers; consecutive ones bound a slice.
    """
    series = len(offsets) - 1
    targets = np.linspace(0, int(offsets[-1]), slices + 1)
    inner = np.searchsorted(offsets, targets[1:-1])
    return np.unique(np.concatenate(([0], np.clip(inner, 0, series), [series])))


def measure(batch: SeriesBatch, settings: Settings, threads: int = 0) -> NDArray[np.float64]:
    """Measure every series of a batch; the fields of a row are ``ROW_FIELDS``.

    Parameters
    ----------
    batch
        Series of event times.
    settings
        Thresholds.
    threads
        Worker threads; 0 means one for each core this process may use.
    """
    rows = np.zeros((len(batch), len(ROW_FIELDS)))
    offsets = np.ascontiguousarray(batch.offsets, np.int64)
    times = np.ascontiguousarray(batch.times, np.int64)
    thresholds = np.array([settings.cv_threshold, settings.jitter_threshold])
    workers = threads or len(os.sched_getaffinity(0))
    bounds = slice_bounds(offsets, workers * SLICES_PER_THREAD if workers > 1 else 1)
    longest = int(np.diff(offsets).max(initial=0)) + 1

    def work(bound: tuple[int, int]) -> None:
        measure_slice(offsets, times, bound[0], bound[1], longest, thresholds, rows)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)))
    return rows
