"""What the kernel knows of a connection comes out as its opener would tell it."""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.data_plane.attribution.container import ContainerNames
from beacon_detect.data_plane.attribution.process import ProcessTable
from beacon_detect.data_plane.clock import WallClock
from beacon_detect.data_plane.decode import (
    CHUNK,
    Decoder,
    Own,
    StartLedger,
    flows_of,
    keys_of,
    take,
)
from beacon_detect.data_plane.events import EVENT, FLOW
from beacon_detect.data_plane.losses import Losses
from beacon_detect.data_plane.ring import STRIDE
from beacon_detect.data_plane.state import SeriesClock
from beacon_detect.records import SECOND, Kind, Protocol, record_schema, unpack_address
from events_factory import Connection, events, flows

OFFSET = 1_790_000_000 * SECOND
ANCHOR = OFFSET + 12_345
BOOT = "6761378e-ff99-443c-aeac-fdbd7d52bf55"
NOW = 5000 * SECOND


def make_decoder(
    *, host: bool = True, own: Own | None = None, losses: Losses | None = None, boot: str = BOOT
) -> Decoder:
    return Decoder(
        WallClock(lambda: (NOW, OFFSET)),
        SeriesClock(boot, ANCHOR),
        ProcessTable(ContainerNames()) if host else None,
        losses or Losses(),
        own,
    )


def rows_of(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    table = pa.Table.from_batches(batches, record_schema())
    table.validate(full=True)
    return table.to_pylist()


addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str),
)
counts = st.integers(0, 2**62)
moments = st.integers(0, 2**52)
ports = st.integers(0, 65_535)
small = st.integers(0, 255)


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    first = draw(moments)
    version = draw(st.sampled_from([IPv4Address, IPv6Address]))
    kind = st.ip_addresses(v=4 if version is IPv4Address else 6)
    protocol = draw(st.sampled_from(Protocol))
    echo = protocol in (Protocol.ICMP, Protocol.ICMPV6)
    port = draw(ports)
    return Connection(
        src=str(draw(kind)),
        dst=str(draw(kind)),
        src_port=port,
        dst_port=port if echo else draw(ports),
        protocol=protocol,
        first=first,
        last=first + draw(moments),
        burst_first=first + draw(moments),
        bytes_out=draw(counts),
        bytes_in=draw(counts),
        packets_out=draw(counts),
        packets_in=draw(counts),
        tcp_flags_out=draw(small),
        tcp_flags_in=draw(small),
        outcome=draw(st.integers(0, 6)),
        origin=draw(st.integers(0, 2)),
        direction=draw(st.integers(0, 2)),
        tgid=draw(st.integers(2**30, 2**32 - 1)),
        uid=draw(st.integers(0, 2**32 - 1)),
        cgroup_id=draw(st.integers(0, 2**63)),
        comm=draw(st.binary(max_size=15).filter(lambda b: b"\0" not in b)),
    )


kinds = st.sampled_from([Kind.START, Kind.BURST, Kind.END])


@given(st.lists(st.tuples(kinds, connections()), min_size=1, max_size=20))
def test_every_field_round_trips_from_the_openers_point_of_view(
    told: list[tuple[Kind, Connection]],
) -> None:
    rows = rows_of(make_decoder().events(events(told), NOW))

    assert len(rows) == len(told)
    for (kind, connection), row in zip(told, rows, strict=True):
        echo = connection.protocol in (Protocol.ICMP, Protocol.ICMPV6)
        moment = {
            Kind.START: connection.first,
            Kind.BURST: connection.burst_first,
            Kind.END: connection.last,
        }[kind]
        assert row["kind"] == kind
        assert IPv6Address(row["src"]) == _mapped(connection.src)
        assert IPv6Address(row["dst"]) == _mapped(connection.dst)
        assert row["src_port"] == (0 if echo else connection.src_port)
        assert row["dst_port"] == (0 if echo else connection.dst_port)
        assert row["time"] == moment + OFFSET
        assert row["series_time"] == moment + ANCHOR
        assert row["duration"] == connection.last - connection.first
        assert row["pid"] == connection.tgid
        assert row["cgroup"] == connection.cgroup_id
        assert row["process"] == connection.comm.decode("utf-8", "backslashreplace")
        for same in (
            *("protocol", "bytes_out", "bytes_in", "packets_out", "packets_in", "uid"),
            *("tcp_flags_out", "tcp_flags_in", "outcome", "origin", "direction"),
        ):
            assert row[same] == getattr(connection, same), same


def _mapped(text: str) -> IPv6Address:
    return IPv6Address(f"::ffff:{text}") if "." in text and ":" not in text else IPv6Address(text)


@given(connections(), connections())
def test_records_of_one_connection_share_an_id_and_others_do_not(
    one: Connection, other: Connection
) -> None:
    decoder = make_decoder()
    later = one.but(last=one.last + 1, bytes_in=one.bytes_in + 1, outcome=2, tgid=5)
    rows = rows_of(decoder.events(events([(1, one), (2, one), (3, later), (1, other)]), NOW))
    ids = [row["connection_id"] for row in rows]
    same = one.but(comm=b"") == other.but(comm=b"")

    assert ids[0] == ids[1] == ids[2]
    assert (ids[3] == ids[0]) == same or one.first == other.first
    assert decoder.ids(flows([one]))[0] == ids[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"first": 1001 * SECOND},
        {"src": "192.0.2.11"},
        {"dst": "198.51.100.21"},
        {"src_port": 1},
        {"dst_port": 1},
        {"protocol": 17},
        {"zone": 3},
    ],
    ids=str,
)
def test_whatever_tells_connections_apart_changes_the_id(changed: dict[str, Any]) -> None:
    decoder = make_decoder()
    ids = decoder.ids(flows([Connection(), Connection().but(**changed)]))

    assert ids[0] != ids[1]


def test_ids_of_another_boot_differ() -> None:
    one = flows([Connection()])
    other_boot = make_decoder(boot="0" * 8 + BOOT[8:])

    assert make_decoder().ids(one)[0] != other_boot.ids(one)[0]


def test_an_end_without_a_start_brings_the_start_along() -> None:
    lost = Connection(started=0, first=7 * SECOND, last=9 * SECOND)
    told = [(Kind.END, Connection()), (Kind.END, lost), (Kind.START, Connection(src_port=5))]
    rows = rows_of(make_decoder().events(events(told), NOW))

    assert [row["kind"] for row in rows] == [Kind.END, Kind.START, Kind.END, Kind.START]
    assert [row["src_port"] for row in rows] == [40_000, 40_000, 40_000, 5]
    assert rows[1]["connection_id"] == rows[2]["connection_id"]
    assert rows[1]["time"] == 7 * SECOND + OFFSET
    assert rows[2]["time"] == 9 * SECOND + OFFSET


def test_a_start_that_was_made_up_is_not_counted_again() -> None:
    decoder = make_decoder()
    made_up, fresh = Connection(src_port=1), Connection(src_port=2)
    decoder.ledger.renew(decoder.ids(flows([made_up])))
    late = [
        (Kind.START, made_up),
        (Kind.START, fresh),
        (Kind.END, made_up),
        (Kind.END, made_up.but(started=0)),
    ]
    rows = rows_of(decoder.events(events(late), NOW))

    assert [(row["kind"], row["src_port"]) for row in rows] == [
        (Kind.START, 2),
        (Kind.END, 1),
        (Kind.END, 1),
    ]


def test_the_ledger_forgets_after_two_sweeps() -> None:
    ledger = StartLedger()
    ids = np.array([1, 2], np.uint64)
    ledger.renew(ids)
    assert ledger.unknown(ids).tolist() == [False, False]
    ledger.renew(ids[:1])
    assert ledger.unknown(ids).tolist() == [False, False]
    ledger.renew(ids[:0])
    assert ledger.unknown(ids).tolist() == [False, True]
    ledger.renew(ids[:0])
    assert ledger.unknown(ids).tolist() == [True, True]
    assert len(ledger) == 0


def test_events_of_unknown_kind_are_dropped_and_counted() -> None:
    losses = Losses()
    told = [(0, Connection()), (Kind.START, Connection()), (4, Connection()), (255, Connection())]
    rows = rows_of(make_decoder(losses=losses).events(events(told), NOW))

    assert [row["kind"] for row in rows] == [Kind.START]
    assert losses.totals() == {"decode_error": 3}


def test_the_sensors_own_export_is_not_reported() -> None:
    mine = Connection(tgid=os.getpid(), dst_port=9090)
    told = [
        mine,
        mine.but(src="203.0.113.9", dst="10.0.0.1"),
        mine.but(dst_port=9091),
        mine.but(tgid=1),
        mine.but(src_port=9090, dst_port=53),
    ]
    decoder = make_decoder(own=Own(os.getpid(), 9090))
    rows = rows_of(decoder.events(events([(1, c) for c in told]), NOW))

    assert [(row["dst_port"], row["pid"] == os.getpid()) for row in rows] == [
        (9091, True),
        (9090, False),
        (53, True),
    ]


def test_a_living_process_is_named_with_its_executable() -> None:
    mine = Connection(tgid=os.getpid(), comm=b"thread", first=SECOND)
    row = rows_of(make_decoder().events(events([(1, mine)]), NOW))[0]
    # A second after the boot this process was not there: only the kernel's record is believed.
    assert (row["process"], row["executable"]) == ("thread", "")

    late = mine.but(first=2**52)
    row = rows_of(make_decoder().events(events([(1, late)]), 2**52))[0]

    assert row["executable"] == os.path.realpath("/proc/self/exe")


def test_without_processes_the_names_stay_empty() -> None:
    rows = rows_of(make_decoder(host=False).events(events([(1, Connection(comm=b"x"))]), NOW))

    assert {rows[0][name] for name in ("process", "executable", "container", "name")} == {""}


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_any_number_of_events_keeps_its_order(count: int) -> None:
    told = np.zeros(count, EVENT)
    told["kind"] = Kind.START
    told["value"]["started"] = 1
    told["value"]["bytes"][:, 0] = np.arange(count)

    rows = pa.Table.from_batches(make_decoder().events(told, NOW), record_schema())

    assert rows.num_rows == count
    assert rows["bytes_out"].to_pylist() == list(range(count))


def test_events_are_read_from_the_rings_stride_too() -> None:
    told = events([(1, Connection(src_port=port)) for port in range(1, 6)])
    spaced = np.zeros(5, np.dtype([("header", "u1", STRIDE - EVENT.itemsize), ("event", EVENT)]))
    spaced["event"] = told

    assert flows_of(spaced["event"]).tobytes() == flows_of(told).tobytes()
    assert rows_of(make_decoder().events(spaced["event"], NOW)) == rows_of(
        make_decoder().events(told, NOW)
    )


@given(st.lists(st.integers(0, 4), max_size=10))
def test_take_is_indexing(index: list[int]) -> None:
    rows = flows([Connection(src_port=port) for port in range(5)])
    chosen = np.array(index, np.intp)

    assert take(rows, chosen).tobytes() == rows[chosen].tobytes()
    assert take(rows, chosen).dtype == FLOW
    assert keys_of(rows, chosen).tobytes() == rows["key"][chosen].tobytes()


def test_stamps_of_two_cpus_in_the_wrong_order_give_no_negative_duration() -> None:
    row = rows_of(make_decoder().events(events([(Kind.END, Connection(first=9, last=7))]), NOW))[0]

    assert row["duration"] == 0
    assert row["time"] == 9 + OFFSET


def test_addresses_read_as_text_again() -> None:
    row = rows_of(make_decoder().events(events([(1, Connection())]), NOW))[0]

    assert (unpack_address(row["src"]), unpack_address(row["dst"])) == (
        "192.0.2.10",
        "198.51.100.20",
    )
