"""Columns: text is converted once per value and lands in the right row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.base import Problems
from beacon_detect.readers.columns import (
    Flows,
    counts,
    distinct,
    drop_invalid,
    integers,
    mapped,
    name_schema,
    name_table,
    protocol_numbers,
    record_table,
)
from beacon_detect.records import record_schema


@given(st.lists(st.one_of(st.none(), st.sampled_from("abc")), max_size=20))
def test_codes_give_the_values_back_with_nulls(values: list[str | None]) -> None:
    half = len(values) // 2
    column = pa.chunked_array(
        [pa.array(values[:half], pa.string()), pa.array(values[half:], pa.string())]
    )
    codes, texts = distinct(column)

    assert [texts[code] for code in codes] == values


def test_protocols_are_known_by_name_and_number() -> None:
    numbers, known = protocol_numbers(pa.array(["tcp", "UDP", "17", "ipv6-icmp", "arp", None]))

    assert numbers.tolist()[:4] == [6, 17, 17, 58]
    assert known.tolist() == [True, True, True, True, False, False]


def test_numbers_that_are_missing_or_not_finite_get_the_default() -> None:
    assert integers(pa.array([1.0, None, float("nan"), 1e300])).tolist() == [1, 0, 0, 0]
    assert counts(pa.chunked_array([pa.array([-4, 5, None])])).tolist() == [0, 5, 0]
    assert mapped(pa.array(["S0", "x", None]), {"S0": 5}, 9).tolist() == [5, 9, 9]


def flows(count: int) -> Flows:
    packed = np.zeros((count, 16), np.uint8)
    return Flows(
        time=np.arange(count, dtype=np.int64),
        src=packed,
        dst=packed,
        dst_port=np.arange(count),
        protocol=np.full(count, 6, np.uint8),
        valid=np.ones(count, bool),
    )


def test_records_keep_valid_rows_only_and_have_the_schema() -> None:
    some = flows(5)
    some.valid = np.array([True, False, True, False, True])
    some.name = pa.array(["a", "b", "a", "d", "e"])
    table = record_table(some)
    table.validate(full=True)

    assert table.schema.equals(record_schema())
    assert table["time"].to_pylist() == table["series_time"].to_pylist() == [0, 2, 4]
    assert table["name"].to_pylist() == ["a", "a", "e"]
    assert len(set(table["connection_id"].to_pylist())) == 3


def test_no_rows_make_an_empty_table() -> None:
    assert record_table(flows(0)).num_rows == 0


def test_names_have_the_schema() -> None:
    packed = np.zeros((2, 16), np.uint8)
    table = name_table(np.zeros(2, np.int64), packed, packed, pa.array(["a", "b"]))
    table.validate(full=True)

    assert table.schema.equals(name_schema())


def test_rows_count_under_the_first_check_they_fail() -> None:
    problems = Problems()
    checks = {"first": np.array([True, False, False]), "second": np.array([True, False, True])}
    valid = drop_invalid(checks, lambda: np.array([10, 20, 30]), "f", problems)

    assert valid.tolist() == [True, False, False]
    assert problems.counts == {"first": 2}
    assert problems.examples == ["f:20: first"]
