"""The pair table: one row for each pair, totals exact, however the input is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt.pair_table import PairTable
from beacon_detect.records import SECOND


@pytest.fixture(autouse=True, params=[1 << 15, 3], ids=["one index", "two"])
def new_ids(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have new pairs put among the old ones at once, too."""
    monkeypatch.setattr("beacon_detect.hunt.pair_table._NEW_IDS", request.param)


PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=60)


def columns(pairs: list[tuple[int, int, int]]) -> tuple[np.ndarray, ...]:
    src, dst = np.zeros((len(pairs), 16), np.uint8), np.zeros((len(pairs), 16), np.uint8)
    src[:, 15] = [a for a, _, _ in pairs]
    dst[:, 15] = [b for _, b, _ in pairs]
    ports = np.array([p for _, _, p in pairs], np.uint16)
    return src, dst, ports, np.full(len(pairs), 6, np.uint8)


@given(PAIRS, st.integers(1, 20))
def test_a_pair_has_one_row_for_ever(pairs: list[tuple[int, int, int]], size: int) -> None:
    table = PairTable()
    rows: list[int] = []
    for start in range(0, len(pairs), size):
        part = columns(pairs[start : start + size])
        found = table.rows(*part)
        times = np.arange(start, start + len(found))
        ones = np.ones(len(found), np.int64)
        table.count(found, times, ones, 2 * ones, bursts=False)
        rows += found.tolist()

    assert len(table) == len(set(pairs))
    assert len(dict(zip(pairs, rows, strict=True))) == len(set(rows))
    for pair, row in zip(pairs, rows, strict=True):
        at = [i for i, other in enumerate(pairs) if other == pair]
        assert table.column("src")[row][15] == pair[0]
        assert table.column("dst")[row][15] == pair[1]
        assert table.column("connections")[row] == len(at)
        assert table.column("bytes_in")[row] == 2 * len(at)
        assert (table.column("first_seen")[row], table.column("last_seen")[row]) == (at[0], at[-1])


def test_many_pairs_make_the_columns_grow() -> None:
    table = PairTable()
    src = np.zeros((5003, 16), np.uint8)
    src[:, 14:] = np.arange(5003, dtype=">u2").view(np.uint8).reshape(-1, 2)
    rows = table.rows(src, src, np.zeros(5003, np.uint16), np.zeros(5003, np.uint8))

    assert rows.tolist() == list(range(5003))
    assert (table.column("src") == src).all()


LONG = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 9)), max_size=60)
"""Pair, start and duration of connections; half a second a step."""


def opened(table: PairTable, some: list[tuple[int, int, int]]) -> None:
    rows = table.rows(*columns([(pair, 0, 0) for pair, _, _ in some]))
    start, duration = (np.array([c[i] for c in some], np.int64) * SECOND // 2 for i in (1, 2))
    table.count_beside(rows, start, duration)


def shares(table: PairTable) -> dict[int, float]:
    share = table.side_by_side(np.arange(len(table)))
    return {int(src[15]): one for src, one in zip(table.column("src"), share, strict=True)}


@given(LONG, st.integers(1, 20))
def test_connections_side_by_side_are_counted_however_the_input_is_cut(
    some: list[tuple[int, int, int]], size: int
) -> None:
    some.sort(key=lambda one: (one[1], one[2]))
    table, whole = PairTable(), PairTable()
    for start in range(0, len(some), size):
        opened(table, some[start : start + size])
    opened(whole, some)

    assert shares(table) == pytest.approx(shares(whole), nan_ok=True)
    for pair, share in shares(table).items():
        assert np.isnan(share) == (not any(c[2] for c in some if c[0] == pair))


@given(LONG, LONG, st.lists(st.booleans(), min_size=4, max_size=4))
def test_pairs_that_are_kept_keep_what_was_side_by_side(
    before: list[tuple[int, int, int]], after: list[tuple[int, int, int]], flags: list[bool]
) -> None:
    table, model = PairTable(), PairTable()
    opened(table, before)
    kept = np.array([flags[src[15]] for src in table.column("src")], np.bool_)
    table.keep(kept)
    opened(table, after)
    opened(model, [one for one in before if flags[one[0]]])
    opened(model, after)

    assert shares(table) == pytest.approx(shares(model), nan_ok=True)


@given(PAIRS, st.lists(st.booleans(), min_size=60, max_size=60), PAIRS)
def test_pairs_that_are_kept_keep_their_totals_and_the_others_are_new_again(
    before: list[tuple[int, int, int]], flags: list[bool], after: list[tuple[int, int, int]]
) -> None:
    table, model = PairTable(), dict[tuple[int, int, int], int]()

    def add(pairs: list[tuple[int, int, int]]) -> None:
        ones = np.ones(len(pairs), np.int64)
        table.count(table.rows(*columns(pairs)), ones, ones, ones, bursts=False)
        for pair in pairs:
            model[pair] = model.get(pair, 0) + 1

    add(before)
    known = list(model)
    kept = np.array(flags[: len(known)], np.bool_)
    rows = table.keep(kept)
    assert rows[kept].tolist() == list(range(len(table)))
    assert (rows[~kept] == -1).all()
    for pair, stays in zip(known, kept.tolist(), strict=True):
        if not stays:
            del model[pair]
    add(after)

    found = {
        (int(src[15]), int(dst[15]), int(port)): int(connections)
        for src, dst, port, connections in zip(
            *(table.column(name) for name in ("src", "dst", "dst_port", "connections")),
            strict=True,
        )
    }
    assert found == model
    assert (table.column("first_seen") == 1).all()
