"""JSON fields mirror the record format; what is left away has a stated default."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from beacon_detect.control_plane.intake import RecordFaultsError
from beacon_detect.control_plane.intake.json_columns import FIELDS, record_table
from beacon_detect.records import SECOND, Kind, record_schema

RECORD = {"time": "2026-11-24T04:17:24Z", "src": "10.0.0.1", "dst": "10.0.0.2", "protocol": "tcp"}
WEB = RECORD | {"dst_port": 443}


def decoded(*records: dict[str, Any]) -> list[dict[str, Any]]:
    names = {name for record in records for name in record}
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        kind = (
            pa.string() if isinstance(next(filter(None, values), 0), str) else pa.decimal128(38, 0)
        )
        columns[name] = pa.array(values, kind)
    return record_table(pa.table(columns)).to_pylist()


def test_the_fields_are_the_columns_of_a_record() -> None:
    assert list(FIELDS) == record_schema().names


def test_defaults() -> None:
    [row] = decoded(WEB)

    assert row["kind"] == Kind.CONNECTION
    assert row["series_time"] == row["time"] == 1_795_493_844 * SECOND
    unnamed = set(row) - {"time", "series_time", "src", "dst", "dst_port", "protocol", "kind"}
    assert {name: row[name] for name in unnamed - {"connection_id"}} == {
        name: "" if isinstance(row[name], str) else 0 for name in unnamed - {"connection_id"}
    }


@pytest.mark.parametrize("name", ["time", "src", "dst", "protocol", "dst_port"])
def test_what_must_be_there_is_asked_for(name: str) -> None:
    lacking = {key: value for key, value in WEB.items() if key != name}
    with pytest.raises(RecordFaultsError) as caught:
        decoded(WEB, lacking)

    assert caught.value.faults == [f"records[1].{name}: is missing"]


@pytest.mark.parametrize("protocol", ["icmp", "icmpv6", "1", "58"])
def test_echo_needs_no_port(protocol: str) -> None:
    [row] = decoded(RECORD | {"protocol": protocol})

    assert row["dst_port"] == 0


def test_ids_are_made_where_there_are_none() -> None:
    whole, again, other = decoded(WEB, WEB, WEB | {"src_port": 9})
    start, end = decoded(
        WEB | {"kind": "start", "src_port": 7},
        WEB | {"kind": "end", "src_port": 7, "time": "2026-11-24T05:00:00Z"},
    )

    assert whole["connection_id"] == again["connection_id"] != other["connection_id"]
    assert start["connection_id"] == end["connection_id"]
    assert decoded(WEB | {"connection_id": 5})[0]["connection_id"] == 5


def test_all_faults_of_a_batch_are_found_at_once() -> None:
    with pytest.raises(RecordFaultsError) as caught:
        decoded(WEB | {"src": "x"}, WEB | {"dst_port": 70_000}, WEB | {"protocol": "y"})

    assert caught.value.faults == [
        "records[0].src: 'x' is not an IP address",
        "records[1].dst_port: 70000 is not a port",
        "records[2].protocol: 'y' is not a number or one of icmp, tcp, udp, icmpv6",
    ]
