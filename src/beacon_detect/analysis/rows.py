"""The columns that both implementations fill for one episode, by name and position."""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """Fields of one measured episode.

    Units as in :class:`beacon_detect.analysis.types.Results`; ``busy``
    (usual seconds of a check-in where pauses are regular, else 0) and the windows
    are in seconds, ``intervals`` counts them, ``left_out`` the check-ins
    that were too small to be the beacon's, ``first_event`` and
    ``last_event`` are positions in the series.  The last two fields belong to
    the series, all others to its leading episode.
    """

    cv_score: int
    periodicity_score: int
    jitter_score: int
    interval: int
    jitter: int
    cv: int
    dominant_period: int
    check_ins: int
    missed: int
    connections_per_check_in: int
    left_out: int
    log_odds: int
    false_alarm: int
    busy: int
    window_low: int
    window_high: int
    window_count: int
    chance_share: int
    intervals: int
    second_low: int
    second_high: int
    second_count: int
    size_out: int
    size_in: int
    first_event: int
    last_event: int
    episodes: int


ROW_FIELDS: Final = Row._fields
ROW: Final = Row(*range(len(ROW_FIELDS)))
"""Positions: ``row[ROW.interval]``; a tuple of constants also for the compiler."""
