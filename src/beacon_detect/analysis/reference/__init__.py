"""The analysis in plain NumPy, one series at a time: what the compiled code must equal.

It reads like the method's description and needs no compiler, so it also serves
small inputs, where loading one would take longer than the work.  Limit: about a
millisecond a series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.reference.check_ins import find_check_ins
from beacon_detect.analysis.reference.folding import fold
from beacon_detect.analysis.reference.regularity import (
    coherence,
    confidence,
    cv_score,
    dispersion,
    dominant_period,
    jitter_score,
    periodicity_score,
)
from beacon_detect.analysis.rows import ROW_FIELDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from beacon_detect.analysis.types import SeriesBatch, Settings


def measure(batch: SeriesBatch, settings: Settings) -> NDArray[np.float64]:
    """Measure every series of a batch.

    Parameters
    ----------
    batch
        Series of event times.
    settings
        Thresholds.

    Returns
    -------
    numpy.ndarray
        One row per series with the columns ``ROW_FIELDS``; zeros where there
        are too few check-ins.
    """
    rows = np.zeros((len(batch), len(ROW_FIELDS)))
    for index in range(len(batch)):
        times = batch.times[batch.offsets[index] : batch.offsets[index + 1]]
        rows[index] = measure_series(times, settings)
    return rows


def measure_series(times: NDArray[np.int64], settings: Settings) -> NDArray[np.float64]:
    """Measure one series; the fields are ``ROW_FIELDS``."""
    found = find_check_ins(times)
    if found is None:
        return np.zeros(len(ROW_FIELDS))
    folded = fold(found)
    spread = dispersion(folded, found.gap)
    period = dominant_period(found.intervals, folded.interval)
    trust = confidence(len(found.intervals) * found.window.divergence)
    resultant = max(coherence(found.intervals, p) for p in (folded.interval, period))
    measured = {
        "cv_score": trust * cv_score(spread.cv, settings.cv_threshold),
        "periodicity_score": trust * periodicity_score(resultant),
        "jitter_score": jitter_score(spread.deviation, spread.interval, settings.jitter_threshold),
        "interval": spread.interval,
        "jitter": spread.jitter,
        "cv": spread.cv,
        "dominant_period": period,
        "check_ins": float(len(found.starts)),
        "missed": float(folded.missed),
        "connections_per_check_in": len(times) / len(found.starts),
    }
    return np.array([measured[name] for name in ROW_FIELDS])
