"""Delimited blocks: one broken row never costs its neighbours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.base import Problems
from beacon_detect.readers.delimited import Layout, parse_block
from beacon_detect.readers.lines import LineBlock

LAYOUT = Layout(("a", "b", "c"), {"a": "float", "c": "integer", "b": "text"}, nulls=("", "-"))
GOOD = st.tuples(
    st.integers(0, 10**9).map(str), st.sampled_from(["x", "-", "é"]), st.integers(0, 99).map(str)
)
BAD = st.sampled_from([("1", "x"), ("x", "x", "3"), ("1", "x", "3", "4"), ("1", "x", "1.5")])


@given(st.lists(st.one_of(GOOD, BAD), min_size=1, max_size=30))
def test_good_rows_are_read_and_bad_ones_counted(rows: list[tuple[str, ...]]) -> None:
    problems = Problems()
    data = "".join(",".join(row) + "\n" for row in rows).encode()
    parsed = parse_block(LineBlock(data, 1), LAYOUT, "f", problems)
    good = [
        (i, row)
        for i, row in enumerate(rows, 1)
        if len(row) == 3 and row[0] != "x" and row[2] != "1.5"
    ]

    assert parsed.table["a"].to_pylist() == [float(row[0]) for _, row in good]
    assert parsed.table["c"].to_pylist() == [int(row[2]) for _, row in good]
    assert problems.total == len(rows) - len(good)
    assert parsed.lines().tolist() == [i for i, _ in good]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_counted(data: bytes) -> None:
    parsed = parse_block(LineBlock(data, 1), LAYOUT, "f", Problems())

    assert parsed.table.column_names == ["a", "c", "b"]


def test_the_first_bad_value_is_shown_with_its_line() -> None:
    problems = Problems()
    parse_block(LineBlock(b"1,x,1\n\nzz,y,2\n", 10), LAYOUT, "f.csv", problems)

    assert problems.examples == ["f.csv:12: a is 'zz': not a number"]


def test_a_signed_number_that_arrow_does_not_know_is_a_broken_row() -> None:
    problems = Problems()
    parsed = parse_block(LineBlock(b"1,x,+060\n2,y,3\n", 1), LAYOUT, "f", problems)

    assert parsed.table["c"].to_pylist() == [3]
    assert problems.counts == {"not a number": 1}
