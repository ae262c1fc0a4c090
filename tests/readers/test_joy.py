"""Joy: flows to connections, turned round where Joy took the server for the source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

FLOW: dict[str, Any] = {
    "sa": "10.0.0.5", "da": "192.0.2.7", "pr": 6, "sp": 40_000, "dp": 443, "bytes_out": 90,
    "num_pkts_out": 3, "bytes_in": 39, "num_pkts_in": 2, "time_start": 1541934004.5,
    "time_end": 1541934005.25, "packets": [{"b": 90, "dir": ">", "ipt": 0}],
}  # fmt: skip


def test_a_flow_is_a_connection(read: Callable) -> None:
    reading = read(json.dumps({"version": "2.0", "interface": "none"}) + "\n" + json.dumps(FLOW))
    (row,) = reading.rows

    assert reading.reader == "joy"
    assert (row["time"], row["duration"]) == (1_541_934_004_500_000_000, 750_000_000)
    assert (row["bytes_out"], row["bytes_in"], row["packets_out"]) == (90, 39, 3)
    assert reading.problems.total == 0
    assert reading.problems.useless == {"lines of Joy's settings": 1}


def test_older_spellings_are_the_same_flow(read: Callable) -> None:
    names = {"time_start": "ts", "time_end": "te", "bytes_out": "ob", "bytes_in": "ib", "num_pkts_out": "op"}  # fmt: skip
    old = {names.get(key, key): value for key, value in FLOW.items()}
    (row,), (expected,) = read(json.dumps(old)).rows, read(json.dumps(FLOW)).rows

    assert row == expected


def test_a_server_as_source_is_turned_round(read: Callable) -> None:
    swapped = FLOW | {"sa": "192.0.2.7", "da": "10.0.0.5", "sp": 53, "dp": 40_000, "pr": 17}
    swapped |= {"time_start": 1541934004.9, "time_end": 1541934004.8}
    (row,) = read(json.dumps(swapped)).rows

    assert (row["src"], row["dst_port"], row["bytes_in"]) == ("10.0.0.5", 53, 90)
    assert row["time"] == 1_541_934_004_800_000_000


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=50,
)
@given(junk=st.binary(max_size=200))
def test_any_bytes_are_rows_or_problems(read: Callable, junk: bytes) -> None:
    assert read(json.dumps(FLOW).encode() + b"\n" + junk).rows
