"""Buffers are as long as the longest series needs, and histograms start empty."""

from __future__ import annotations

from beacon_detect.analysis.compiled.workspace import workspace


def test_buffers_hold_the_longest_series() -> None:
    w = workspace(100, 7)
    h = w.histogram
    buffers = (w.firsts, w.intervals, w.folded, w.multiples, h.values, h.places, w.logs)

    assert min(map(len, buffers)) > 100
    assert len(w.reachable) == 7
    assert h.counts.sum() == h.other_counts.sum() == h.upto.sum() == 0
