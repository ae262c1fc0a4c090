"""Windows read from the running total hold what counting says, wherever the values lie."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis.compiled.histogram import bin_of, fullest, quantile_bin, tally
from beacon_detect.analysis.compiled.workspace import WIDEST, Histogram, histogram
from beacon_detect.analysis.interval_bins import BINS, WINDOW_WIDTHS
from beacon_detect.analysis.interval_bins import bin_of as plain_bin_of

values = st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=60).map(np.array)


def filled(values: np.ndarray) -> Histogram:
    """Return a histogram of values that are not counted yet."""
    h = histogram(len(values))
    h.values[: len(values)] = values
    return h


def test_bins_are_the_reference_s() -> None:
    for value in (1e-9, 0.3, 1.0, 1e9):
        assert bin_of(value) == plain_bin_of(np.array([value]))[0]


@given(values=values)
@examples(max_examples=60, deadline=None)
def test_the_running_total_counts_every_value_and_empties_the_histogram(
    values: np.ndarray,
) -> None:
    h = filled(values)
    lowest, used = tally(len(values), h)
    counts = np.bincount(plain_bin_of(values))

    assert np.diff(h.upto[WIDEST : WIDEST + used + 1]).tolist() == counts[lowest:].tolist()
    assert h.places[: len(values)].tolist() == plain_bin_of(values).tolist()
    assert h.counts.sum() == h.other_counts.sum() == h.upto[: WIDEST + 1].sum() == 0


@given(values=values, width=st.sampled_from(WINDOW_WIDTHS.tolist()))
@examples(max_examples=60, deadline=None)
def test_the_fullest_window_is_the_first_that_holds_the_most(
    values: np.ndarray, width: int
) -> None:
    h = filled(values)
    lowest, used = tally(len(values), h)
    most, at = fullest(h.upto, used, width)
    counts = np.bincount(plain_bin_of(values), minlength=BINS)
    ends = np.arange(lowest, lowest + used)
    inside = [counts[max(end - width + 1, 0) : end + 1].sum() for end in ends]

    assert most == max(inside)
    assert lowest + at == ends[int(np.argmax(inside))] - width + 1


def test_quantiles_lie_inside_their_bin_by_the_share_wanted() -> None:
    h = filled(np.array([1.0, 1.0, 1.0, 1.0, 8.0, 8.0, 8.0, 8.0]))
    lowest, _ = tally(8, h)

    assert quantile_bin(h.upto, lowest, 1.0) == bin_of(1.0) + 0.25
    assert quantile_bin(h.upto, lowest, 6.0) == bin_of(8.0) + 0.5
