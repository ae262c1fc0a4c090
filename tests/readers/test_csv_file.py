"""CSV: columns by name, rows as they are, broken ones with their line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.errors import DataError
from beacon_detect.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = "ts,src,sport,dst,dport,proto,orig_bytes,resp_bytes,duration\n"


def test_a_row_becomes_a_connection(read: Callable) -> None:
    reading = read(HEADER + "1767225600.000029,10.0.0.5,58939,38.90.226.66,8883,tcp,12,34,1.5\n")
    row = reading.rows[0]

    assert reading.reader == "csv"
    assert (row["src"], row["src_port"]) == ("10.0.0.5", 58939)
    assert (row["dst"], row["dst_port"], row["protocol"]) == ("38.90.226.66", 8883, 6)
    assert row["time"] == row["series_time"] == 1_767_225_600_000_029_000
    assert (row["bytes_out"], row["bytes_in"], row["duration"]) == (12, 34, 1_500_000_000)
    assert row["kind"] == Kind.CONNECTION


@pytest.mark.parametrize(
    "header",
    [
        "Timestamp,Source IP,Destination IP,Destination Port,Protocol",
        "StartTime;SrcAddr;DstAddr;Dport;Proto",
        "#ts\tid.orig_h\tid.resp_h\tid.resp_p\tproto",
        '"first_seen","src_ip","dst_ip","dst_port","protocol"',
    ],
)
def test_synonyms_and_delimiters_are_understood(read: Callable, header: str) -> None:
    delimiter = next(c for c in ";\t," if c in header)
    reading = read(header + "\n" + delimiter.join(["2026-01-01 00:00:01", "::1", "1.2.3.4", "443", "17"]) + "\n")  # fmt: skip

    assert [(r["src"], r["dst"], r["dst_port"], r["protocol"]) for r in reading.rows] == [
        ("::1", "1.2.3.4", 443, 17)
    ]
    assert reading.rows[0]["time"] == 1_767_225_601_000_000_000


ROW = "1700000000,10.0.0.5,192.0.2.7"


@pytest.mark.parametrize(
    "text",
    [
        "# written by a script\n\n# twice\nts,src,dst\n" + ROW,
        "ts src dst\n" + ROW.replace(",", " "),
        "ts , src , dst\n" + ROW.replace(",", " , "),
        "\ufeffts,src,dst\r\n" + ROW + "\r\n",
        "date,time,src,dst\n2023-11-14,22:13:20,10.0.0.5,192.0.2.7",
        "ts,src,dst\n14/11/2023 10:13:20 PM,10.0.0.5,192.0.2.7\n",
    ],
)
def test_what_scripts_and_spreadsheets_make_of_a_file_is_understood(
    read: Callable, text: str
) -> None:
    reading = read(text)

    assert [(r["time"], r["src"], r["dst"]) for r in reading.rows] == [
        (1_700_000_000_000_000_000, "10.0.0.5", "192.0.2.7")
    ]
    assert reading.problems.total == 0


def test_durations_have_the_unit_of_their_tool(read: Callable) -> None:
    for name, value in (("Flow Duration", "1500000"), ("event.duration", "1500000000"), ("dur", "1.5")):  # fmt: skip
        assert read(f"ts,src,dst,{name}\n{ROW},{value}\n").rows[0]["duration"] == 1_500_000_000


def test_a_table_that_is_padded_for_people_is_not_taken_for_csv(read: Callable) -> None:
    assert read("Date first  Src  Dst\n2023-11-14  10.0.0.5  192.0.2.7\n").reader == ""


def test_columns_can_be_named_by_the_user(read: Callable) -> None:
    reading = read(
        "wann,von,nach\n1700000000,1.1.1.1,2.2.2.2\n",
        form="csv",
        columns={"ts": "wann", "src": "von", "dst": "nach"},
    )

    assert [(r["src"], r["dst"], r["protocol"]) for r in reading.rows] == [
        ("1.1.1.1", "2.2.2.2", 6)
    ]


def test_a_column_that_is_not_there_is_named(read: Callable) -> None:
    with pytest.raises(DataError, match="no column 'when'"):
        read("ts,src,dst\n1,1.1.1.1,2.2.2.2\n", form="csv", columns={"ts": "when"})
    with pytest.raises(DataError, match="no column for src"):
        read("ts,a,dst\n1,1.1.1.1,2.2.2.2\n", form="csv")


def test_broken_rows_are_counted_with_line_and_the_rest_is_read(read: Callable) -> None:
    good = "1700000000,1.1.1.1,1,2.2.2.2,443,tcp,1,1,1\n"
    reading = read(
        HEADER + good + "x,1.1.1.1,1,2.2.2.2,443,tcp,1,1,1\n" + "1,2\n" + good
        + good.replace("1.1.1.1", "nohost") + good.replace("443", "70000") + good
    )  # fmt: skip

    assert len(reading.rows) == 3
    assert reading.problems.total == 4
    assert any("input:3:" in text for text in reading.problems.examples)
    assert any("input:6:" in text for text in reading.problems.examples)


ROWS = st.lists(
    st.tuples(
        st.integers(10**9, 2 * 10**9), st.ip_addresses(), st.ip_addresses(),
        st.integers(0, 65_535), st.sampled_from(["tcp", "udp", "icmp"]), st.integers(0, 10**12),
    ),
    min_size=1, max_size=20,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=ROWS)
def test_what_is_written_is_read(read: Callable, rows: list[tuple]) -> None:
    lines = [f"{t}.5,{a},1,{b},{port},{proto},{size},0,0" for t, a, b, port, proto, size in rows]
    reading = read(HEADER + "\n".join(lines))

    assert [(r["time"] // 10**9, r["dst_port"], r["bytes_out"]) for r in reading.rows] == [
        (t, port, size) for t, _, _, port, _, size in rows
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(junk=st.binary(max_size=400))
def test_any_bytes_after_the_header_are_rows_or_problems(read: Callable, junk: bytes) -> None:
    assert read(HEADER.encode() + junk).reader == "csv"


def test_a_forced_file_without_text_is_named_without_its_bytes(read: Callable) -> None:
    with pytest.raises(DataError, match="no column for ts, src, dst") as refused:
        read(bytes(range(256)) * 9, form="csv")

    assert str(refused.value).replace("\n  hint", "").isprintable()
    assert len(refused.value.message) < 600


FIREWALL = """#Version: 1.5
#Software: Microsoft Windows Firewall
#Time Format: Local
#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path

2026-01-05 08:00:00 ALLOW TCP 10.0.0.5 203.0.113.9 50000 443 0 - 0 0 0 - - - SEND
"""
EXCEL = "sep=;\r\nTime;Source IP;Source Port;Destination IP;Destination Port;Protocol\r\n05.01.2026 08:00:00;10.0.0.5;50000;203.0.113.9;443;TCP\r\n"
PALO_ALTO = "Receive Time,Type,Source address,Destination address,Source Port,Destination Port,IP Protocol\n2026/01/05 08:00:00,TRAFFIC,10.0.0.5,203.0.113.9,50000,443,tcp\n"
DEFENDER = "Timestamp,DeviceName,LocalIP,LocalPort,RemoteIP,RemotePort,Protocol\n2026-01-05T08:00:00.000Z,pc,10.0.0.5,50000,203.0.113.9,443,Tcp\n"


@pytest.mark.parametrize("text", [FIREWALL, EXCEL, PALO_ALTO, DEFENDER])
def test_exports_of_common_products_are_read(read: Callable, text: str) -> None:
    reading = read(text)
    (row,) = reading.rows

    assert (reading.reader, reading.problems.total) == ("csv", 0)
    assert row["time"] == 1_767_600_000_000_000_000
    assert (row["src"], row["src_port"]) == ("10.0.0.5", 50_000)
    assert (row["dst"], row["dst_port"], row["protocol"]) == ("203.0.113.9", 443, 6)
