"""Rows a second of the log readers on one core, and the growth of a whole hunt.

    python benchmarks/readers_logs.py rows [ROWS]        readers alone, generated logs
    python benchmarks/readers_logs.py hunt ROWS PAIRS    generate a Zeek log, run `analyze` on it
    python benchmarks/readers_logs.py stream ROWS PAIRS  the same through a pipe, without a file

The first run on a machine makes the JSON scanner's machine code on the way (a fifth of a second).
`hunt` runs the command in a process of its own and prints its time and peak
memory, so that several sizes give the growth curve. A naive reader (one Python
loop with `json.loads` or `str.split`) runs on the same files for comparison.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beacon_detect.readers import recognise
from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = ["ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration", "orig_bytes", "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history", "orig_pkts", "orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "tunnel_parents"]  # fmt: skip
PIECE = 200_000
DAY = 86_400


def _columns(first: int, count: int, rows: int, pairs: int) -> dict[str, pa.Array]:
    """Return columns of text: pairs of all sizes, one in twenty a beacon."""
    random = np.random.default_rng(first)
    number = np.arange(first, first + count)
    pair = (random.zipf(1.3, count) * 7919 + number * 104_729) % pairs
    stamp = 1_700_000_000 + number * (DAY / rows) + random.uniform(0, 0.2, count)
    text = pa.array([f"{value:.6f}" for value in stamp.tolist()])
    source = [f"10.0.{a >> 8}.{a & 255}" for a in (pair % 4096).tolist()]
    target = [f"93.{b >> 16 & 255}.{b >> 8 & 255}.{b & 255}" for b in (pair % 50_021).tolist()]
    return {
        "ts": text, "source": pa.array(source), "target": pa.array(target),
        "sport": pa.array(random.integers(1024, 65_535, count)).cast(pa.string()),
        "sent": pa.array(random.integers(100, 5000, count)).cast(pa.string()),
        "number": pa.array(number).cast(pa.string()),
    }  # fmt: skip


def _joined(parts: list[object]) -> bytes:
    lines = pc.binary_join_element_wise(*parts, "")
    return "".join(lines.to_pylist()).encode()


def zeek_tsv(c: dict[str, pa.Array]) -> bytes:
    return _joined([c["ts"], "\tC4J4Th3PJ", c["number"], "\t", c["source"], "\t", c["sport"], "\t", c["target"], "\t443\ttcp\tssl\t0.531242\t", c["sent"], "\t4039\tSF\tT\tF\t0\tShADadFf\t14\t1016\t16\t1226\t(empty)\n"])  # fmt: skip


def zeek_json(c: dict[str, pa.Array]) -> bytes:
    return _joined(['{"ts":', c["ts"], ',"uid":"C4J4Th3PJpwUYZZ6gc","id.orig_h":"', c["source"], '","id.orig_p":', c["sport"], ',"id.resp_h":"', c["target"], '","id.resp_p":443,"proto":"tcp","service":"ssl","duration":0.531242,"orig_bytes":', c["sent"], ',"resp_bytes":4039,"conn_state":"SF","local_orig":true,"local_resp":false,"missed_bytes":0,"history":"ShADadFf","orig_pkts":14,"orig_ip_bytes":1016,"resp_pkts":16,"resp_ip_bytes":1226}\n'])  # fmt: skip


def eve(c: dict[str, pa.Array]) -> bytes:
    stamp = '"2026-01-31T08:00:00.123456+0000"'
    flow = ['{"timestamp":' + stamp + ',"flow_id":', c["number"], ',"in_iface":"eth0","event_type":"flow","src_ip":"', c["source"], '","src_port":', c["sport"], ',"dest_ip":"', c["target"], '","dest_port":443,"proto":"TCP","app_proto":"tls","flow":{"pkts_toserver":12,"pkts_toclient":14,"bytes_toserver":', c["sent"], ',"bytes_toclient":4039,"start":' + stamp + ',"end":' + stamp + ',"age":1,"state":"closed","reason":"timeout","alerted":false},"tcp":{"tcp_flags":"1b","tcp_flags_ts":"1b","tcp_flags_tc":"1b","syn":true,"fin":true,"psh":true,"ack":true,"state":"closed"},"host":"sensor"}\n']  # fmt: skip
    alert = '{"timestamp":' + stamp + ',"flow_id":1,"event_type":"alert","src_ip":"10.0.0.1","src_port":1,"dest_ip":"10.0.0.2","dest_port":2,"proto":"TCP","alert":{"action":"allowed","signature":"x","severity":2,"metadata":{"affected_product":["Any"],"deployment":["Perimeter"]}},"host":"sensor"}\n'  # fmt: skip
    return _joined(flow) + alert.encode() * (len(c["ts"]) // 10)


HEADS = {"tsv": b"#separator \\x09\n#set_separator\t,\n#unset_field\t-\n#path\tconn\n#fields\t" + "\t".join(FIELDS).encode() + b"\n"}  # fmt: skip


def write(path: Path, make: Callable[[dict[str, pa.Array]], bytes], rows: int, pairs: int, head: bytes = b"") -> None:  # fmt: skip
    with path.open("wb") as file:
        file.write(head)
        for first in range(0, rows, PIECE):
            file.write(make(_columns(first, min(PIECE, rows - first), rows, pairs)))


def read(path: Path) -> int:
    problems = Problems()
    rows = 0
    with Source(expand([str(path)])[0], problems) as source:
        reader = recognise(source.head)
        assert reader is not None
        for chunk in reader.read(source, problems, ReadOptions()):
            rows += chunk.records.num_rows if chunk.records is not None else 0
    assert problems.total == 0, problems
    return rows


def naive(path: Path) -> int:
    rows = 0
    with path.open() as file:
        for line in file:
            if line[0] == "{":
                value = json.loads(line)
                rows += "flow" in value or "ts" in value
            elif line[0] != "#":
                fields = line.split("\t")
                rows += bool(float(fields[0]) and int(fields[9]))
    return rows


def compare(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, make, head, size in (
            ("zeek conn.log TSV", zeek_tsv, HEADS["tsv"], rows),
            ("zeek conn.log JSON", zeek_json, b"", rows),
            ("suricata eve.json, 9 % alerts", eve, b"", rows),
        ):
            path = Path(folder) / "log"
            write(path, make, size, 100_000, head)
            events = path.read_bytes().count(b"\n")
            for label, run in (("first run", read), ("second run", read), ("naive Python", naive)):
                started, used = time.perf_counter(), time.process_time()
                found = run(path)
                wall, core = time.perf_counter() - started, time.process_time() - used
                print(f"{name:32} {label:14} {events:>10,} lines {found:>10,} rows {wall:6.2f} s  {events / core / 1e6:5.2f} M lines/s of core")  # fmt: skip


def hunt(rows: int, pairs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conn.log"
        write(path, zeek_tsv, rows, pairs, HEADS["tsv"])
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "beacon_detect", "analyze", str(path), "--limit", "3"],
            check=True,
        )
        _told(rows, pairs, path.stat().st_size, time.perf_counter() - started)


_ROW = b"1700000000.000000\tC4J4Th000000000000\t10.100.100.100\t10000\t93.100.100.100\t443\ttcp\tssl\t0.531242\t1000\t4039\tSF\tT\tF\t0\tShADadFf\t14\t1016\t16\t1226\t(empty)\n"  # fmt: skip
"""Numbers of fixed width, so that digits can be put in a million rows at a time."""


def _stream_piece(first: int, count: int, rows: int, pairs: int) -> bytes:
    """Return rows like :func:`_columns`, at some millions a second."""
    random = np.random.default_rng(first)
    number = np.arange(first, first + count)
    pair = (random.zipf(1.3, count) * 7919 + number * 104_729) % pairs
    piece = np.tile(np.frombuffer(_ROW, np.uint8), (count, 1))

    def put(at: int, width: int, values: np.ndarray) -> None:
        for i in range(width):
            piece[:, at + width - 1 - i] = 48 + values // 10**i % 10

    micros = (number * (DAY * 1e6 / rows)).astype(np.int64)
    put(2, 8, micros // 1_000_000)
    put(11, 6, micros % 1_000_000)
    put(24, 12, number)
    for start, host in ((37, pair % 4096), (58, pair % 1_000_003)):
        for i in range(3):
            put(start + 4 + 4 * i, 2, host // 100 ** (2 - i) % 100)
    put(53, 4, random.integers(0, 9999, count))
    put(95, 3, random.integers(0, 999, count))
    return piece.tobytes()


def stream(rows: int, pairs: int) -> None:
    started, total = time.perf_counter(), 0
    command = [sys.executable, "-m", "beacon_detect", "analyze", "-", "--limit", "3"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(HEADS["tsv"])
        for first in range(0, rows, PIECE):
            total += child.stdin.write(_stream_piece(first, min(PIECE, rows - first), rows, pairs))
    _told(rows, pairs, total, time.perf_counter() - started)


def _told(rows: int, pairs: int, size: int, wall: float) -> None:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{rows:,} rows, {pairs:,} pairs, {size / 1e9:.2f} GB: {wall:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of core, peak {usage.ru_maxrss / 1024:,.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["stream"]:
        stream(int(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["hunt"]:
        hunt(int(sys.argv[2]), int(sys.argv[3]))
    else:
        compare(int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
