"""The one call of the detection core: series in, scored columns out.

It chooses the implementation, weighs the component scores and names the series
that are too short to score.  Limit: it holds every row of a batch in memory,
about 300 bytes a series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis import reference
from beacon_detect.analysis.rows import ROW_FIELDS
from beacon_detect.analysis.types import MIN_CHECK_INS, Abstention, Results

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.analysis.types import SeriesBatch, Settings

_COUNTS = frozenset({"check_ins", "missed"})


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
    return to_results(reference.measure(series, settings), settings)


def to_results(rows: NDArray[np.float64], settings: Settings) -> Results:
    """Turn measured rows into columns with a base score."""
    columns = {
        name: rows[:, index].astype(np.int64 if name in _COUNTS else np.float64)
        for index, name in enumerate(ROW_FIELDS)
    }
    weights = np.array(settings.weights) / sum(settings.weights)
    base = rows[:, :3] @ weights
    abstained = np.where(
        columns["check_ins"] < MIN_CHECK_INS, Abstention.TOO_FEW_CHECK_INS, Abstention.NONE
    ).astype(np.int64)
    return Results(score=base.copy(), base_score=base, abstained=abstained, **columns)
