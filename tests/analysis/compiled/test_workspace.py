"""Buffers are as long as the longest series needs, and histograms start empty."""

from __future__ import annotations

from beacon_detect.analysis.compiled.workspace import workspace


def test_buffers_hold_the_longest_series() -> None:
    w = workspace(100)

    assert min(map(len, (w.firsts, w.intervals, w.folded, w.multiples, w.scaled, w.logs))) > 100
    assert w.counts.sum() == w.upto.sum() == 0
