"""The analysis in plain NumPy, one series at a time: what the compiled code must equal.

It reads like the method's description and needs no compiler, so it also serves
small inputs, where loading one would take longer than the work.  Limit: about
two milliseconds a series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.reference.episodes import Episode, episodes, merit
from beacon_detect.analysis.reference.shape import size_share
from beacon_detect.analysis.rows import ROW, ROW_FIELDS

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats
    from beacon_detect.analysis.forest import Forest
    from beacon_detect.analysis.types import SeriesBatch, Settings

__all__ = ["Episode", "episodes", "measure", "merit"]


def measure(batch: SeriesBatch, settings: Settings, forest: Forest) -> tuple[Floats, Floats]:
    """Measure the leading episode of every series of a batch.

    Parameters
    ----------
    batch
        Series of event times.
    settings
        Thresholds, and whether the model or the weights choose the episode.
    forest
        The trees of the model.

    Returns
    -------
    rows, features
        One row per series with the columns ``ROW_FIELDS`` and ``FEATURES``;
        zeros where there are too few check-ins.
    """
    rows = np.zeros((len(batch), len(ROW_FIELDS)))
    features = np.zeros((len(batch), len(FEATURES)))
    for index in range(len(batch)):
        begin, end = int(batch.offsets[index]), int(batch.offsets[index + 1])
        found = episodes(batch.times[begin:end], settings, forest)
        if found:
            leading = max(found, key=lambda episode: merit(episode, settings))
            rows[index], features[index] = leading.row, leading.features
            events = slice(
                begin + int(leading.row[ROW.first_event]),
                begin + int(leading.row[ROW.last_event]) + 1,
            )
            rows[index, ROW.size_out] = size_share(batch.bytes_out[events])
            rows[index, ROW.size_in] = size_share(batch.bytes_in[events])
    return rows, features
