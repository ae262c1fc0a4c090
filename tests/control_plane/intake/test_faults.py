"""Faults are listed by record, bounded in number, counted in all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.intake.faults import (
    MAX_FAULTS,
    Faults,
    RecordFaultsError,
    shown,
)


@given(st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 60)), min_size=1))
def test_the_first_records_at_fault_are_named_and_all_are_counted(
    rows: dict[str, set[int]],
) -> None:
    faults = Faults()
    for field, bad in rows.items():
        faults.add(field, np.array(sorted(bad), np.int64), lambda row: f"is {row}")
    total = sum(map(len, rows.values()))
    if not total:
        faults.raise_any()
        return
    with pytest.raises(RecordFaultsError) as caught:
        faults.raise_any()

    named = [int(text.split("]")[0].removeprefix("records[")) for text in caught.value.faults]
    every = sorted(row for bad in rows.values() for row in bad)
    assert named == every[:MAX_FAULTS]
    assert caught.value.total == total
    assert caught.value.faults[0] in str(caught.value)


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 10_000)) < 100
    assert shown("x") == "'x'"
