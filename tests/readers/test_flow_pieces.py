"""Flow pieces: an exporter's timeout never looks like a beacon."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.columns import Flows
from beacon_detect.readers.flow_pieces import FlowPieces, server_ports_last
from beacon_detect.records import SECOND, Kind, Origin, pack_address

Row = tuple[float, float, str, int, str, int, int]
A, B = "10.0.0.5", "192.0.2.7"


def flows(rows: list[Row], protocol: int = 17) -> Flows:
    """Rows of start, end, source, port, destination, port, bytes."""

    def addresses(at: int) -> np.ndarray:
        packed = b"".join(pack_address(str(row[at])) for row in rows)
        return np.frombuffer(packed, np.uint8).reshape(-1, 16)

    start = np.array([round(row[0] * SECOND) for row in rows], np.int64)
    return Flows(
        time=start, src=addresses(2), dst=addresses(4),
        src_port=np.array([row[3] for row in rows]), dst_port=np.array([row[5] for row in rows]),
        protocol=np.full(len(rows), protocol, np.uint8), valid=np.ones(len(rows), bool),
        duration=np.array([round((row[1] - row[0]) * SECOND) for row in rows], np.int64),
        bytes_out=np.array([row[6] for row in rows], np.int64),
    )  # fmt: skip


def joined(*batches: list[Row]) -> list[dict[str, Any]]:
    pieces = FlowPieces()
    return [
        row
        for batch in batches
        for chunk in pieces.chunks(flows(batch))
        if chunk.records is not None
        for row in chunk.records.to_pylist()
    ]


def starts(rows: list[dict[str, Any]]) -> list[float]:
    return sorted(
        r["time"] / SECOND
        for r in rows
        if r["kind"] == Kind.CONNECTION and r["origin"] == Origin.OPENED
    )


def bursts(rows: list[dict[str, Any]]) -> list[float]:
    return sorted(row["time"] / SECOND for row in rows if row["kind"] == Kind.BURST)


LONG: list[Row] = [(300.0 * i, 300.0 * i + 299.5, A, 50_000, B, 443, 10) for i in range(12)]


def test_a_long_connection_in_pieces_begins_once() -> None:
    whole = joined(LONG)
    by_file = joined(*[[row] for row in LONG])

    for rows in (whole, by_file):
        assert starts(rows) == [0]
        assert bursts(rows) == []
        assert sum(row["bytes_out"] for row in rows) == 120


def test_both_directions_are_one_connection_of_the_one_who_began() -> None:
    rows = joined([(0, 1, A, 50_000, B, 443, 10), (0.1, 1, B, 443, A, 50_000, 70)])

    assert [(r["bytes_out"], r["bytes_in"], r["dst_port"]) for r in rows] == [(10, 70, 443)]


def test_a_reply_in_the_next_file_is_still_a_reply() -> None:
    rows = joined([(0, 1, A, 5_000, B, 6_000, 10)], [(1.5, 2, B, 6_000, A, 5_000, 70)])

    assert starts(rows) == [0]
    assert [(row["dst_port"], row["bytes_in"]) for row in rows] == [(6_000, 0), (6_000, 70)]


def test_silence_of_a_minute_ends_a_connection_and_of_a_second_makes_a_burst() -> None:
    rows = joined([(t, t, A, 123, B, 123, 48) for t in (0, 30, 60, 200, 264)])

    assert starts(rows) == [0, 200, 264]
    assert bursts(rows) == [30, 60]


def test_other_ports_are_other_connections() -> None:
    assert starts(joined([(t, t, A, 50_000 + t, B, 443, 1) for t in range(0, 300, 10)])) == list(
        range(0, 300, 10)
    )


ROWS = st.lists(
    st.tuples(
        st.integers(0, 500).map(float), st.integers(0, 20), st.sampled_from([A, B]),
        st.sampled_from([1, 2]), st.integers(0, 99),
    ),
    min_size=1, max_size=30,
)  # fmt: skip


@given(ROWS, st.integers(1, 30))
def test_bytes_are_kept_however_the_input_is_cut(rows: list[tuple], cut: int) -> None:
    ordered = sorted(rows)
    full: list[Row] = [
        (t, t + d, src, port, B if src == A else A, 3 - port, size)
        for t, d, src, port, size in ordered
    ]
    found = joined(*[full[i : i + cut] for i in range(0, len(full), cut)])
    whole = [row for row in found if row["kind"] == Kind.CONNECTION]

    assert sum(r["bytes_out"] + r["bytes_in"] for r in whole) == sum(r[-1] for r in rows)
    assert starts(found)[0] == ordered[0][0]


def test_rows_from_a_well_known_port_are_turned_round() -> None:
    turned = server_ports_last(flows([(0, 1, B, 53, A, 50_000, 9), (0, 1, A, 50_000, B, 53, 4)]))

    assert turned.dst_port.tolist() == [53, 53]
    assert turned.bytes_in is not None
    assert turned.bytes_in.tolist() == [9, 0]
