"""Findings keep their ids for ever, and know when they count as silent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_factory import NOW, finding
from beacon_detect.control_plane.findings import finding_ids, silence_limit
from beacon_detect.records import SECOND


def test_ids_are_those_of_earlier_versions() -> None:
    ids = finding_ids(np.array([1, 1, 2**64 - 1], np.uint64), np.array([0, 1, 0], np.uint8))

    assert ids == ["5e41ab087439611e", "e9fd6049d65af21e", "5dc20aa7b2a27137"]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 1)), max_size=50, unique=True))
def test_different_series_have_different_ids(series: list[tuple[int, int]]) -> None:
    ids = finding_ids(
        np.array([pair for pair, _ in series], np.uint64),
        np.array([kind for _, kind in series], np.uint8),
    )

    assert len(set(ids)) == len(series)
    assert all(len(identifier) == 16 for identifier in ids)


@pytest.mark.parametrize(("interval", "silent_after"), [(1.0, 120.0), (60.0, 300.0)])
def test_silence_is_several_intervals_but_never_only_seconds(
    interval: float, silent_after: float
) -> None:
    seen = replace(finding(), interval=interval, last_seen=NOW)

    assert silence_limit(interval) == silent_after * SECOND
    assert seen.state(NOW + int(silent_after * SECOND)) == "active"
    assert seen.state(NOW + int(silent_after * SECOND) + 1) == "silent"
