"""Pictures are as large as they were asked to be and leave nothing out that is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.cli.pictures import (
    ASCII,
    BLOCKS,
    Palette,
    axis,
    bar,
    columns,
    counts_in,
    merged,
    palette_for,
    shaded,
    sparkline,
)

COUNTS = st.lists(st.integers(0, 1000), max_size=80)
PALETTES = st.sampled_from([ASCII, BLOCKS])


@pytest.mark.parametrize(
    ("encoding", "palette"),
    [("utf-8", BLOCKS), ("UTF-8", BLOCKS), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("nonsense", ASCII)],
)  # fmt: skip
def test_blocks_are_drawn_where_the_output_carries_them(
    encoding: str | None, palette: Palette
) -> None:
    assert palette_for(encoding) is palette


@given(COUNTS, st.integers(1, 8), PALETTES)
def test_columns_are_as_high_as_their_share_and_none_is_lost(
    counts: list[int], height: int, palette: Palette
) -> None:
    lines = columns(counts, height, palette)

    assert [len(line) for line in lines] == [len(counts)] * height
    for place, count in enumerate(counts):
        assert (lines[-1][place] != " ") == (count > 0)
        assert (lines[0][place] == palette.levels[-1]) == (
            count > 0 and _full(count, counts, lines)
        )


def _full(count: int, counts: list[int], lines: list[str]) -> bool:
    steps = len(lines) * (len(ASCII.levels) - 1)
    return max(1, round(count / max(counts) * steps)) >= steps


@given(COUNTS, PALETTES)
def test_sparkline_and_shades_show_exactly_what_is_there(
    counts: list[int], palette: Palette
) -> None:
    for line in (sparkline(counts, palette), shaded(counts, max(counts, default=0), palette)):
        assert [c != " " for c in line] == [count > 0 for count in counts]


@given(st.floats(-100, 100), st.integers(1, 60), PALETTES)
def test_a_bar_is_as_long_as_its_share(value: float, width: int, palette: Palette) -> None:
    assert len(bar(value, 100, width, palette)) <= width
    assert bar(100, 100, width, palette) == palette.bar * width
    assert bool(bar(value, 100, width, palette)) == (value != 0)


@given(COUNTS, st.integers(1, 7))
def test_merging_loses_no_count(counts: list[int], by: int) -> None:
    assert sum(merged(counts, by)) == sum(counts)
    assert len(merged(counts, by)) == -(-len(counts) // by)


@given(st.lists(st.floats(0, 10)), st.integers(1, 30))
def test_values_are_counted_once(values: list[float], cells: int) -> None:
    assert sum(counts_in(values, 0.0, 10.0, cells)) == len(values)
    assert sum(counts_in(values, 11.0, 12.0, cells)) == 0


def test_labels_stand_at_their_places_and_never_touch() -> None:
    assert (
        axis([(0, "0"), (10, "60s"), (12, "61s"), (20, "2.0m")], 30) == "0         60s       2.0m"
    )
    assert axis([(28, "2.0m")], 30) == ""
