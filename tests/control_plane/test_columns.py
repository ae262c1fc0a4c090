"""Columns of record tables as NumPy arrays, sliced and in several chunks too."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.columns import addresses, numbers, table_pair_ids, texts
from beacon_detect.records import pack_address, pair_ids
from records_factory import make_records

ROWS = [
    make_records(dst=["203.0.113.7", "2001:db8::1", "203.0.113.8"], process=["a", "b", "a"]),
    make_records(dst=["198.51.100.1"], process=["c"]),
]


@pytest.fixture(params=["one chunk", "two chunks", "slice", "empty"])
def table(request: pytest.FixtureRequest) -> pa.Table:
    joined = pa.concat_tables(ROWS)
    return {
        "one chunk": joined.unify_dictionaries().combine_chunks(),
        "two chunks": joined,
        "slice": joined.slice(1, 2),
        "empty": joined.slice(0, 0),
    }[request.param]


def test_values_are_those_of_the_table(table: pa.Table) -> None:
    codes, values = texts(table, "process")

    assert numbers(table, "time").tolist() == table.column("time").to_pylist()
    assert [bytes(row) for row in addresses(table, "dst")] == table.column("dst").to_pylist()
    assert [values[code] for code in codes] == table.column("process").to_pylist()


def test_plain_text_columns_are_read_like_dictionaries() -> None:
    codes, values = texts(pa.table({"sensor": ["b", "a", "b"]}), "sensor")

    assert [values[code] for code in codes] == ["b", "a", "b"]


@given(st.lists(st.ip_addresses(), min_size=1, max_size=5), st.integers(0, 65535))
def test_pair_ids_are_those_of_the_record_format(hosts: list[object], port: int) -> None:
    names = [str(host) for host in hosts]
    table = make_records(dst=names, dst_port=port)
    packed = np.array([list(pack_address(name)) for name in names], np.uint8)
    source = np.tile(np.frombuffer(pack_address("10.0.0.5"), np.uint8), (len(names), 1))

    ids = pair_ids(source, packed, np.full(len(names), port), np.full(len(names), 6))
    assert table_pair_ids(table).tolist() == ids.tolist()
