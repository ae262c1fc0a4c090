"""Which groups of features speak for a beacon, and which against it.

The log odds of an episode differ from those of a background: random (Poisson)
series of its length and rate, or a clock that beats at its interval.  The
difference is shared out over the groups of features by Shapley values: what a
group changes when it replaces the background's, averaged over all orders of
replacing them.  So reference and shares add up to the log odds.  Limit: groups
are judged, not single features; a mixture of both may occur in no real series.

References
----------
.. [1] Shapley, "A value for n-person games", Contributions to the Theory of Games II (1953).
.. [2] Lundberg and Lee, "A unified approach to interpreting model predictions",
   NeurIPS 2017, section 2: Shapley values of features against a background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from beacon_detect.analysis.features import FEATURES
from beacon_detect.analysis.forest import log_odds
from beacon_detect.analysis.reference.episodes import measure_run
from beacon_detect.analysis.types import MIN_CHECK_INS, Settings

if TYPE_CHECKING:
    from beacon_detect.analysis.arrays import Floats, Integers
    from beacon_detect.analysis.forest import Forest

GROUPS: dict[str, str] = {
    "length": "the number of check-ins",
    "concentration": "how many intervals lie close together",
    "regularity": "how little the intervals spread",
    "counts": "how evenly check-ins fill the time",
    "local": "how alike neighbouring intervals are",
    "spectrum": "how well check-ins follow one period",
    "bursts": "how clearly connections form check-ins",
    "day": "the hours of the day that are active",
}
"""The groups of features, in words for people."""

RANDOM_SERIES = 8
"""Random series compared with; other ones would move a share by half a unit at most (measured)."""
BACKGROUND_CHECK_INS = 200
"""Most check-ins of a background; bounds the time of one attribution to two tenths of a second."""
_SEED = 20_261_124


@dataclass(frozen=True, slots=True)
class Attribution:
    """The log odds of one episode, split up.

    Parameters
    ----------
    reference
        Mean log odds of the background.
    groups
        What each group of features adds to them, the strongest first.
    """

    reference: float
    groups: dict[str, float]


def attribute(features: Floats, background: Floats, forest: Forest) -> Attribution:
    """Split the log odds of one episode over the groups of its features.

    Parameters
    ----------
    features
        What the model saw, shape ``(len(FEATURES),)``.
    background
        What it saw of the series compared with, shape ``(n, len(FEATURES))``.
    forest
        The trees of the model.
    """
    groups = list(GROUPS)
    group_of = np.array([groups.index(feature.group) for feature in FEATURES])
    # Row s takes the groups in the bits of s from the episode, the others from the background.
    taken = (np.arange(1 << len(groups))[:, None] >> group_of & 1).astype(bool)
    mixed = np.where(taken[None, :, :], features, background[:, None, :])
    values = log_odds(mixed.reshape(-1, len(FEATURES)), forest).reshape(len(background), -1)
    shares = shapley(values.mean(axis=0))
    ordered = sorted(zip(groups, shares.tolist(), strict=True), key=lambda item: -abs(item[1]))
    return Attribution(float(values[:, 0].mean()), dict(ordered))


def random_features(check_ins: int, interval: float, forest: Forest) -> Floats:
    """Return the features of random series, shape ``(RANDOM_SERIES, len(FEATURES))``; always the same.

    Parameters
    ----------
    check_ins
        Their length, at most :data:`BACKGROUND_CHECK_INS`.
    interval
        Their mean interval, seconds.
    forest
        The trees of the model.
    """
    rng = np.random.default_rng(_SEED)
    rows: list[Floats] = []
    while len(rows) < RANDOM_SERIES:
        # Of six check-ins two may fall together; then there are too few to measure.
        rows += _measured(rng.exponential(1.0, _length(check_ins)), interval, forest)
    return np.stack(rows)


def clock_features(check_ins: int, interval: float, forest: Forest) -> Floats:
    """Return the features of a perfectly regular series, shape ``(1, len(FEATURES))``."""
    return np.stack(_measured(np.ones(_length(check_ins)), interval, forest))


def _length(check_ins: int) -> int:
    return min(max(check_ins, MIN_CHECK_INS), BACKGROUND_CHECK_INS)


def _measured(gaps: Floats, interval: float, forest: Forest) -> list[Floats]:
    """Return the features of a series of these gaps, in intervals; none when they are too few."""
    # Below a second the scale means nothing to any feature, and gaps could vanish.
    times = np.rint(np.cumsum(gaps) * max(interval, 1.0) * 1e9).astype(np.int64)
    episode = measure_run(times, None, Settings(), forest)
    return [] if episode is None else [episode.features]


def shapley(values: Floats) -> Floats:
    """Return the Shapley value of each player.

    Parameters
    ----------
    values
        Value of each coalition, ``values[s]`` of the players in the bits of ``s``;
        shape ``(2 ** players,)``.
    """
    players = len(values).bit_length() - 1
    sizes, weights = _sizes(players), _weights(players)
    shares = np.zeros(players)
    for player in range(players):
        without = np.flatnonzero(~(np.arange(len(values)) >> player) & 1)
        steps = values[without | 1 << player] - values[without]
        shares[player] = float((weights[sizes[without]] * steps).sum())
    return shares


@cache
def _sizes(players: int) -> Integers:
    """Return the number of players in each coalition."""
    coalitions = np.arange(1 << players)
    sizes: Integers = (coalitions[:, None] >> np.arange(players) & 1).sum(axis=1)
    return sizes


@cache
def _weights(players: int) -> Floats:
    """Return the share of the orders in which a coalition of each size is in before a given player."""
    factorial = math.factorial
    return np.array([factorial(s) * factorial(players - s - 1) for s in range(players)]) / factorial(players)  # fmt: skip
