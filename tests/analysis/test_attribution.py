"""The parts of the log odds are the log odds, and they point where the evidence does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import MIN_CHECK_INS, Settings, list_episodes
from beacon_detect.analysis.attribution import (
    BACKGROUND_CHECK_INS,
    GROUPS,
    RANDOM_SERIES,
    Attribution,
    attribute,
    clock_features,
    random_features,
    shapley,
)
from beacon_detect.analysis.features import FEATURE, FEATURES
from beacon_detect.analysis.forest import Forest
from beacon_detect.analysis.model import load_model

SECOND = 1_000_000_000
Background = Callable[[int, float, Forest], np.ndarray]


def times(jitter: float, count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sleeps = 60.0 * rng.uniform(1 - jitter, 1 + jitter, count)
    return np.rint(np.cumsum(sleeps) * SECOND).astype(np.int64)


def split(series: np.ndarray, against: Background = random_features) -> tuple[Attribution, float]:
    """Return the attribution of the best episode, and its log odds."""
    best, _ = list_episodes(series, Settings())
    forest = load_model().forest
    background = against(int(best.check_ins[0]), float(best.interval[0]), forest)
    return attribute(best.features[0], background, forest), float(best.log_odds[0])


@examples(max_examples=10)
@given(jitter=st.floats(0, 1), count=st.integers(MIN_CHECK_INS + 1, 60), seed=st.integers(0, 999))
def test_reference_and_shares_add_up_to_the_log_odds(jitter: float, count: int, seed: int) -> None:
    for against in (random_features, clock_features):
        found, whole = split(times(jitter, count, seed), against)

        assert found.reference + sum(found.groups.values()) == pytest.approx(whole, abs=1e-9)
        assert set(found.groups) == set(GROUPS)


def test_the_same_episode_has_the_same_shares() -> None:
    assert split(times(0.3, 40, 1))[0].groups == split(times(0.3, 40, 1))[0].groups


def test_a_perfect_beacon_is_spoken_for_by_its_regularity() -> None:
    found, whole = split(np.arange(60) * 60 * SECOND)

    assert whole > found.reference + 5
    assert all(found.groups[name] > 0 for name in ("concentration", "regularity", "spectrum"))


def test_a_clock_differs_from_a_clock_in_nothing() -> None:
    found, whole = split(np.arange(60) * 60 * SECOND, clock_features)

    assert found.reference == pytest.approx(whole)
    assert set(found.groups.values()) == {0.0}


def test_what_random_traffic_lacks_of_a_clock_is_that_its_intervals_do_not_agree() -> None:
    gaps = np.random.default_rng(3).exponential(60.0, 60)
    found, _ = split((np.cumsum(gaps) * SECOND).astype(np.int64), clock_features)

    assert next(iter(found.groups)) == "concentration"
    assert found.groups["concentration"] < -3


def test_the_share_of_a_burst_of_connections_is_with_the_bursts() -> None:
    beacon = np.arange(60) * 60 * SECOND
    uneven = np.repeat(beacon, np.random.default_rng(1).integers(1, 6, 60))
    uneven += np.arange(len(uneven)) % 6 * 100_000_000

    assert split(np.sort(uneven))[0].groups["bursts"] < split(beacon)[0].groups["bursts"] - 0.2


@given(st.lists(st.floats(-1e3, 1e3), min_size=16, max_size=16))
def test_shapley_values_share_out_the_whole(values: list[float]) -> None:
    shares = shapley(np.array(values))

    assert shares.sum() == pytest.approx(values[-1] - values[0], abs=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5))
def test_where_players_only_add_up_each_gets_what_it_adds(added: list[float]) -> None:
    coalitions = np.arange(32)[:, None] >> np.arange(5) & 1

    assert shapley(coalitions @ np.array(added)) == pytest.approx(added, abs=1e-6)


def test_a_player_that_changes_nothing_gets_nothing() -> None:
    values = np.array([0.0, 3.0, 0.0, 3.0])

    assert shapley(values).tolist() == [3.0, 0.0]


@pytest.mark.parametrize("check_ins", [MIN_CHECK_INS, 20, 100_000])
def test_random_series_are_as_long_as_the_episode_but_bounded(check_ins: int) -> None:
    features = random_features(check_ins, 60.0, load_model().forest)
    most = min(check_ins, BACKGROUND_CHECK_INS)

    assert features.shape == (RANDOM_SERIES, len(FEATURES))
    assert 2 ** features[:, FEATURE.check_ins].max() <= most + 1e-6


def test_every_group_of_features_has_words() -> None:
    assert set(GROUPS) == {feature.group for feature in FEATURES}
