"""Damaged files of every format, thousands of them: rows or counted problems, never an error."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest

from beacon_detect.errors import DataError
from capture_factory import (
    SERVER,
    Packet,
    client_hello,
    connection,
    dns_answer,
    erspan,
    ethernet,
    geneve,
    pcap,
    pcapng,
    vxlan,
)
from zeek_samples import CONN, DNS, HTTP, SSL, jsonl, nested, tsv

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 1_500
"""Damaged files for each sample; all of them take about two minutes."""
_PACKETS = [
    *connection(1_700_000_000, request=client_hello("c2.example.com")),
    Packet(1_700_000_001, ethernet(dns_answer("c2.example.com", SERVER, "2001:db8::1"))),
    Packet(1_700_000_002, vxlan(ethernet(dns_answer("c2.example.com", SERVER)))),
    Packet(1_700_000_003, geneve(ethernet(dns_answer("c2.example.com", SERVER)), options=bytes(8))),
    *(
        Packet(1_700_000_004, erspan(ethernet(dns_answer("a.example", SERVER)), n))
        for n in (1, 2, 3)
    ),
]
_FLOW = {
    "timestamp": "2021-06-06T15:59:46.457984+0200", "event_type": "flow", "src_ip": "10.0.0.5",
    "src_port": 40_000, "dest_ip": "192.0.2.7", "dest_port": 443, "proto": "TCP",
    "flow": {"bytes_toserver": 9, "start": "2021-06-06T15:59:46.457984+0200", "state": "closed"},
}  # fmt: skip
_ANSWER = _FLOW | {
    "event_type": "dns",
    "dns": {"version": 2, "rrname": "a.example", "answers": [{"rdata": "192.0.2.9"}]},
}
_JOY = {"sa": "10.0.0.5", "da": "192.0.2.7", "pr": 6, "sp": 40_000, "dp": 443, "time_start": 1.5e9, "time_end": 1.5e9}  # fmt: skip
_NFDUMP = [
    {
        "first": "2018-01-12T15:37:30.942", "last": "2018-01-12T15:37:31.942", "in_packets": 5,
        "in_bytes": 600, "proto": 6, "tcp_flags": "...AP.SF", "src_port": 52324, "dst_port": 443,
        "src4_addr": "10.0.0.5", "dst4_addr": "192.0.2.7",
    }
] * 3  # fmt: skip

SAMPLES: dict[str, tuple[str, bytes]] = {
    "pcap": ("pcap", pcap(_PACKETS)),
    "pcap, big-endian": ("pcap", pcap(_PACKETS, order=">")),
    "pcapng": ("pcap", pcapng(_PACKETS)),
    "zeek conn": ("zeek", tsv("conn", CONN, CONN, CONN).encode()),
    "zeek dns": ("zeek", tsv("dns", DNS, DNS).encode()),
    "zeek http": ("zeek", tsv("http", HTTP, HTTP).encode()),
    "zeek json, mixed": ("zeek-json", jsonl(CONN, SSL, HTTP, DNS).encode()),
    "zeek json, nested": ("zeek-json", jsonl(nested(CONN), nested(CONN)).encode()),
    "suricata": ("suricata", "".join(json.dumps(e) + "\n" for e in (_FLOW, _ANSWER)).encode()),
    "joy": ("joy", (json.dumps(_JOY) + "\n").encode() * 3),
    "nfdump json": ("nfdump-json", json.dumps(_NFDUMP, indent=1).encode()),
    "nfdump csv": (
        "nfdump-csv",
        b"ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt\n"
        + b"2018-01-12 15:37:30,2018-01-12 15:37:31,1.0,10.0.0.5,192.0.2.7,1,443,TCP,...A,5,600\n" * 3,
    ),
    "argus": (
        "argus",
        b"StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,TotPkts,TotBytes,SrcBytes\n"
        + b"2011/08/10 09:46:53.047277,3.5,tcp,10.0.0.5,39678,  ->,192.0.2.7,https,S_SA,12,875,413\n" * 3,
    ),
    "csv": (
        "csv",
        b"# made by a script\nts,src,sport,dst,dport,proto,orig_bytes,duration,name\n"
        + b'1700000000.5,10.0.0.5,1,192.0.2.7,443,tcp,9,1.5,"a, b"\n' * 3,
    ),
}  # fmt: skip


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """Return the bytes with some of them changed, taken out, doubled, put in or cut off."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 2, 4, 16, 64))
        match chance.randrange(6):
            case 0:
                data[at : at + length] = chance.randbytes(len(data[at : at + length]))
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = chance.choice((b"\n", b"\0", b'"', b"{", b"\t", b",", b"\xff", b"1e999", b"-9" * 20, b"[" * 99))  # fmt: skip
            case 4:
                data[at : at + length] = bytes(chance.choice((0, 255)) for _ in range(length))
            case _:
                del data[at:]
        data = data or bytearray(b"\n")
    return bytes(data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_damaged_file_gives_rows_or_problems(read: Callable, sample: str, packed: bool) -> None:
    form, whole = SAMPLES[sample]
    assert read(whole, form=form).rows or read(whole, form=form).names
    if packed:
        whole = gzip.compress(whole, mtime=0)
    for seed in range(ROUNDS // 10 if packed else ROUNDS):
        content = damaged(whole, random.Random(f"{sample} {packed} {seed}"))
        try:
            reading = read(content, form=form)
        except DataError:
            assert form == "csv", seed  # the header no longer names what is needed
            continue
        # A line or packet gives a record, its bursts and a few names, never more.
        assert len(reading.rows) + len(reading.names) < 60 + len(content) // 8, seed
