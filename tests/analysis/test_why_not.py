"""The reasons against a beacon are the true ones, and there are none against a beacon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import MIN_CHECK_INS, Settings
from beacon_detect.analysis.explanation import SeriesExplanation, explain_series
from beacon_detect.analysis.why_not import timing_reasons

SECOND = 1_000_000_000
CHANCE = np.cumsum(np.random.default_rng(3).exponential(60.0, 60))
WEIGHTED = Settings(scoring="weighted")


def explain(seconds: np.ndarray, settings: Settings | None = None) -> SeriesExplanation:
    times = np.rint(seconds * SECOND).astype(np.int64)
    nothing = np.zeros(len(times), np.int64)
    return explain_series(times, nothing, nothing, settings or Settings())


def reasons(
    seconds: np.ndarray, wanted: float = 0.7, settings: Settings | None = None
) -> list[str]:
    used = settings or Settings()
    return timing_reasons(explain(seconds, used), wanted, used)


@examples(max_examples=15)
@given(jitter=st.floats(0, 1), count=st.integers(0, 60), wanted=st.floats(0, 1))
def test_there_are_reasons_exactly_where_the_score_is_not_reached(
    jitter: float, count: int, wanted: float
) -> None:
    sleeps = 60.0 * np.random.default_rng(count).uniform(1 - jitter, 1 + jitter, count)
    found = explain(np.cumsum(sleeps))
    reached = found.scored and found.episodes.score[0] >= wanted

    assert (timing_reasons(found, wanted, Settings()) == []) == reached


@pytest.mark.parametrize(("count", "said"), [(0, "0 check-ins"), (1, "1 check-in;"), (4, "4 check-ins;")])  # fmt: skip
def test_too_few_check_ins_are_the_only_reason(count: int, said: str) -> None:
    [reason] = reasons(np.arange(count) * 60.0)

    assert said in reason
    assert f"at least {MIN_CHECK_INS}" in reason


def test_random_traffic_is_told_its_window_and_what_a_clock_has_more_of() -> None:
    below, window, against = reasons(CHANCE)
    found = explain(CHANCE).episodes

    assert below == f"score {found.score[0]:.1%} is below 70.0%"
    assert f"holds {found.window_count[0]} of {found.intervals[0]} intervals" in window
    assert "a random source would put at most" in window
    assert "how many intervals lie close together (-" in against


def test_a_short_series_is_told_that_more_check_ins_would_lift_it() -> None:
    said = reasons(np.arange(8) * 60.0, wanted=0.9)

    assert "8 check-ins; with fewer than 10 a score stays below 80%" in said
    assert not any("what lowers it most" in reason for reason in said)


def test_weighted_scores_are_explained_by_their_parts() -> None:
    against = reasons(CHANCE, settings=WEIGHTED)[-1]

    assert against.startswith("what lowers it most: the intervals vary too much (cv score ")
    assert "follow no period (periodicity score" in against
    assert "compared with a clock" not in against
