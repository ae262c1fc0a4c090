"""All series of a batch on all cores, each thread with buffers of its own.

Slices are cut by events, not by series, so that one huge pair does not leave the
other threads idle for long.  Limit: a thread's buffers are as long as the
longest series, about 70 bytes an event.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.compiled.episodes import measure_series
from beacon_detect.analysis.compiled.jit import jit
from beacon_detect.analysis.compiled.shape import size_share
from beacon_detect.analysis.compiled.trees import Trees, arrange
from beacon_detect.analysis.compiled.workspace import Workspace, workspace
from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.rows import ROW, ROW_FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.forest import Forest
    from beacon_detect.analysis.types import SeriesBatch, Settings

SLICES_PER_THREAD = 4


@jit
def measure_slice(
    batch: tuple[Integers, Integers, Integers, Integers],
    first: int,
    last: int,
    thresholds: Floats,
    weights: Floats,
    trees: Trees,
    w: Workspace,
    rows: Floats,
    features: Floats,
) -> None:
    """Measure the series ``first <= i < last`` into ``rows`` and ``features``."""
    offsets, times, bytes_out, bytes_in = batch
    for index in range(first, last):
        begin, end = offsets[index], offsets[index + 1]
        row = rows[index]
        measure_series(times[begin:end], thresholds, weights, trees, w, row, features[index])
        if row[ROW.check_ins] > 0:
            begin, end = begin + int(row[ROW.first_event]), begin + int(row[ROW.last_event]) + 1
            row[ROW.size_out] = size_share(bytes_out[begin:end], w.histogram)
            row[ROW.size_in] = size_share(bytes_in[begin:end], w.histogram)


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


def measure(
    batch: SeriesBatch, settings: Settings, forest: Forest, threads: int = 0
) -> tuple[Floats, Floats]:
    """Measure the leading episode of every series of a batch.

    Parameters
    ----------
    batch
        Series of event times.
    settings
        Thresholds, and whether the model or the weights choose the episode.
    forest
        The trees of the model.
    threads
        Worker threads; 0 means one for each core this process may use.

    Returns
    -------
    rows, features
        One row per series; columns as ``ROW_FIELDS`` and ``FEATURE_NAMES``.
    """
    rows = np.zeros((len(batch), len(ROW_FIELDS)))
    features = np.zeros((len(batch), len(FEATURES)))
    columns = (
        np.ascontiguousarray(batch.offsets, np.int64),
        np.ascontiguousarray(batch.times, np.int64),
        np.ascontiguousarray(batch.bytes_out, np.int64),
        np.ascontiguousarray(batch.bytes_in, np.int64),
    )
    thresholds = np.array([settings.cv_threshold, settings.jitter_threshold])
    weights = np.array(settings.weights if settings.scoring == "weighted" else (0.0, 0.0, 0.0))
    workers = threads or len(os.sched_getaffinity(0))
    bounds = slice_bounds(columns[0], workers * SLICES_PER_THREAD if workers > 1 else 1)
    longest = int(np.diff(columns[0]).max(initial=0))

    trees = arrange(forest)

    def work(bound: tuple[int, int]) -> None:
        w = workspace(longest, len(forest.roots))
        measure_slice(columns, *bound, thresholds, weights, trees, w, rows, features)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)))
    return rows, features
