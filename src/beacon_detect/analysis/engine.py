"""The one call of the detection core: series in, scored columns out.

It chooses the implementation, weighs the component scores and names the series
that are too short to score.  Limit: it holds every row of a batch in memory,
about 300 bytes a series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import reference
from beacon_detect.analysis.compiled_cache import load_compiled
from beacon_detect.analysis.rows import ROW_FIELDS
from beacon_detect.analysis.types import (
    MIN_CHECK_INS,
    Abstention,
    Results,
    SeriesBatch,
    Settings,
)

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats

SMALL_BATCH = 600
"""Batches of no more work than this take the NumPy path: under a second, while the compiler may need ten."""
EVENTS_PER_SERIES = 1_000
"""Events that cost the NumPy path as much as one more series (measured)."""


def analyze(series: SeriesBatch, settings: Settings) -> Results:
    """Score every series of a batch.

    Parameters
    ----------
    series
        Event times (ns, ascending in each series) and sizes.
    settings
        Thresholds and weights.

    Returns
    -------
    Results
        One row per series, in order.  The same input gives the same output.
    """
    small = len(series) + len(series.times) / EVENTS_PER_SERIES <= SMALL_BATCH
    measure = reference.measure if small else load_compiled().measure
    return to_results(measure(series, settings), settings)


def warm_up() -> None:
    """Compile and cache the fast path now, so that the first large batch does not wait for it."""
    one = SeriesBatch.from_lists([np.arange(MIN_CHECK_INS + 1) * 1_000_000_000])
    load_compiled().measure(one, Settings())


def to_results(rows: Floats, settings: Settings) -> Results:
    """Turn measured rows into columns with a base score."""
    columns = dict(zip(ROW_FIELDS, rows.T.copy(), strict=True))
    counts = {name: columns.pop(name).astype(np.int64) for name in ("check_ins", "missed")}
    weights = np.array(settings.weights) / sum(settings.weights)
    base = rows[:, :3] @ weights
    too_few = counts["check_ins"] < MIN_CHECK_INS
    abstained = np.where(too_few, Abstention.TOO_FEW_CHECK_INS, Abstention.NONE).astype(np.int64)
    return Results(
        score=base.copy(), base_score=base, abstained=abstained,
        check_ins=counts["check_ins"], missed=counts["missed"], **columns,
    )  # fmt: skip
