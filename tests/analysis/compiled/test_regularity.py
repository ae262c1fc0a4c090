"""The compiled spectrum is a Fourier transform, only sparse."""

from __future__ import annotations

import numpy as np

from beacon_detect.analysis.compiled.regularity import coherence, strongest_line
from beacon_detect.analysis.compiled.workspace import workspace
from beacon_detect.analysis.reference import regularity as plain


def test_the_sparse_sum_is_the_fourier_transform() -> None:
    intervals = 60 * np.random.default_rng(1).uniform(0.7, 1.3, 150)
    period, power, alarm = strongest_line(intervals, 60.0, workspace(200))
    line = plain.strongest_line(intervals, 60.0)

    assert np.allclose([period, power, alarm], [line.period, line.power, line.false_alarm])


def test_coherence_is_the_reference_s() -> None:
    intervals = np.random.default_rng(2).exponential(60, 100)

    assert np.isclose(coherence(intervals, 60.0), plain.coherence(intervals, 60.0))
