"""The pair table: one row for each pair, totals exact, however the input is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt.pair_table import PairTable


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
