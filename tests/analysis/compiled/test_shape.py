"""The compiled features equal the plain ones and leave their buffers clean."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled import shape
from beacon_detect.analysis.interval_bins import BINS
from beacon_detect.analysis.reference import shape as plain


def test_histograms_are_left_empty() -> None:
    counts = np.zeros(BINS, np.int64)
    intervals = np.random.default_rng(1).exponential(60, 100)
    shape.spreads(intervals, 1 / 60, counts)
    shape.size_share(np.arange(100), counts)

    assert counts.sum() == 0


def test_spreads_are_the_reference_s() -> None:
    counts = np.zeros(BINS, np.int64)
    for shape_of in (0.3, 1.0, 30.0):
        intervals = np.random.default_rng(4).gamma(shape_of, 60 / shape_of, 200)

        assert np.allclose(
            shape.spreads(intervals, 1 / 60, counts), plain.spreads(intervals, 1 / 60)
        )


def test_statistics_are_the_reference_s() -> None:
    intervals = np.random.default_rng(2).gamma(2, 30, 300)

    assert np.isclose(shape.fano(intervals, 60.0, 1.0), plain.fano(intervals, 60.0, 1.0))
    assert np.isclose(shape.halves(intervals), plain.halves(intervals))
    assert np.isclose(shape.folded_cv(intervals, 60.0, 1.0), plain.folded_cv(intervals, 60.0, 1.0))
