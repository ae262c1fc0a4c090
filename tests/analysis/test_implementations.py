"""The compiled and the NumPy implementation are one method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import SeriesBatch, Settings, reference
from beacon_detect.analysis.compiled_cache import load_compiled
from beacon_detect.analysis.features import FEATURE_NAMES
from beacon_detect.analysis.model import load_model
from beacon_detect.analysis.rows import ROW_FIELDS


def families(rng: np.random.Generator, interval: float, count: int) -> dict[str, np.ndarray]:
    """Return interval lists of very different shapes."""
    return {
        "poisson": rng.exponential(interval, count),
        "perfect": np.full(count, interval),
        "one-sided": interval * rng.uniform(0.6, 1.0, count),
        "pareto": interval * rng.pareto(1.1, count),
        "lognormal": interval * rng.lognormal(0, 0.6, count),
        "bursts": interval * np.where(rng.random(count) < 0.7, 0.01, 1.0) * rng.uniform(0.5, 1.5, count),
        "missing": interval * rng.geometric(0.8, count) * rng.uniform(0.9, 1.1, count),
    }  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), exponent=st.floats(-2, 4.5), count=st.integers(0, 400))
@examples(max_examples=40, deadline=None)
def test_both_implementations_measure_the_same(seed: int, exponent: float, count: int) -> None:
    shapes = families(np.random.default_rng(seed), 10.0**exponent, count)
    batch = SeriesBatch.from_lists(
        [np.rint(np.cumsum(shape) * 1e9).astype(np.int64) for shape in shapes.values()]
    )
    settings = Settings()
    trees = load_model().forest
    plain = reference.measure(batch, settings, trees)
    compiled = load_compiled().measure(batch, settings, trees)

    for names, mine, theirs in zip((ROW_FIELDS, FEATURE_NAMES), plain, compiled, strict=True):
        for column, name in enumerate(names):
            assert theirs[:, column] == pytest.approx(mine[:, column], rel=1e-6, abs=1e-7), name


@given(
    seed=st.integers(0, 2**32 - 1), sleep=st.sampled_from([4, 8, 16, 32]), count=st.integers(6, 80)
)
@examples(max_examples=60, deadline=None)
def test_both_implementations_agree_on_exact_fractions(seed: int, sleep: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    # Places in the spectrum lie exactly between two bins, and sums in any order just miss them.
    seconds = np.where(rng.random(count) < 0.7, sleep, rng.integers(1, 4 * sleep, count)) * 0.1
    batch = SeriesBatch.from_lists([np.rint(np.cumsum(seconds) * 1e9).astype(np.int64)])
    trees = load_model().forest
    plain = reference.measure(batch, Settings(), trees)
    compiled = load_compiled().measure(batch, Settings(), trees)

    for mine, theirs in zip(plain, compiled, strict=True):
        assert theirs == pytest.approx(mine, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    rng = np.random.default_rng(3)
    batch = SeriesBatch.from_lists(
        [
            np.cumsum(rng.integers(1, 10**10, length)).astype(np.int64)
            for length in rng.integers(0, 90, 200)
        ]
    )
    settings = Settings()
    measure, trees = load_compiled().measure, load_model().forest
    some, three = measure(batch, settings, trees, threads), measure(batch, settings, trees, 3)

    assert np.array_equal(some[0], three[0])
    assert np.array_equal(some[1], three[1])
