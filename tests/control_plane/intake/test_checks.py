"""Bounds of records: each field has its own, and the record at fault is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from beacon_detect.control_plane.intake import BodyTooLargeError, RecordFaultsError, checks
from beacon_detect.control_plane.intake.checks import (
    BOUNDS,
    MAX_LOSS_REASONS,
    MAX_TEXT_BYTES,
    check_header,
    check_table,
)
from beacon_detect.errors import DataError
from beacon_detect.records import record_schema
from records_factory import make_header, make_records

MIB = 1 << 20
WIDTH = {field.name: field.type for field in record_schema()}


def outside() -> list[tuple[str, int]]:
    """Return values out of bounds that the columns of a table can hold."""
    return [
        (name, value)
        for name, bounds in BOUNDS.items()
        for value in (bounds.least - 1, bounds.most + 1)
        if (limits := np.iinfo(WIDTH[name].to_pandas_dtype())).min <= value <= limits.max
    ]


@pytest.mark.parametrize(("name", "value"), outside())
def test_a_value_out_of_bounds_names_its_record(name: str, value: int) -> None:
    columns: dict[str, Any] = {"series_time": 1, name: [1, 1, value, 1]}
    with pytest.raises(RecordFaultsError) as caught:
        check_table(make_records(4, **columns), MIB)

    assert caught.value.faults == [f"records[2].{name}: {value} is not {BOUNDS[name].meaning}"]


@pytest.mark.parametrize("end", ["least", "most"])
def test_the_bounds_themselves_are_allowed(end: str) -> None:
    columns = {name: [getattr(bounds, end)] for name, bounds in BOUNDS.items()}

    check_table(make_records(**columns), MIB)


def test_texts_are_bounded_in_bytes() -> None:
    check_table(make_records(process=["é" * (MAX_TEXT_BYTES // 2)]), MIB)
    with pytest.raises(RecordFaultsError, match=r"records\[1\]\.process: 4098 bytes are too long"):
        check_table(make_records(process=["", "é" * (MAX_TEXT_BYTES // 2 + 1)]), MIB)


def test_a_text_shared_by_many_records_counts_for_each() -> None:
    with pytest.raises(BodyTooLargeError, match="'name'"):
        check_table(make_records(300, name="x" * 4000), MIB)


def test_the_number_of_records_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_RECORDS", 10)
    check_table(make_records(10), MIB)
    with pytest.raises(BodyTooLargeError, match="more than 10 records"):
        check_table(make_records(11), MIB)


@pytest.mark.parametrize(
    "fields",
    [
        {"boot": "x" * 129},
        {"session": "x" * 129},
        {"losses": {str(n): 1 for n in range(MAX_LOSS_REASONS + 1)}},
        {"losses": {"ring_full": -1}},
        {"losses": {"ring_full": 2**60}},
        {"losses": {"x" * 200: 1}},
    ],
    ids=str,
)
def test_headers_are_bounded(fields: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="header"):
        check_header(make_header(**fields))


def test_a_usual_header_passes() -> None:
    header = make_header(boot="b", mode="host", session="s", losses={"ring_full": 7})

    assert check_header(header) == header


def test_an_empty_table_passes() -> None:
    check_table(make_records(1).slice(0, 0), MIB)
