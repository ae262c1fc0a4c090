"""Real files of each format, counted by ten-line readers of another kind.

They are not part of the project: BEACON_DATA names the folder that holds them
(its `formats` folder), and without it these tests are skipped.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
from pathlib import Path
from typing import IO

import pytest

from beacon_detect.readers import recognise
from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand
from beacon_detect.records import Kind

FOLDER = Path(os.environ.get("BEACON_DATA", "/nonexistent")) / "formats"
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="BEACON_DATA names no folder with real files"
)


def ours(name: str) -> tuple[str, int, int]:
    """Return the reader, connections and bytes both ways."""
    problems = Problems()
    connections = total = 0
    with Source(expand([str(FOLDER / name)])[0], problems) as source:
        reader = recognise(source.head)
        assert reader is not None
        for chunk in reader.read(source, problems, ReadOptions()):
            for row in chunk.records.to_pylist() if chunk.records is not None else ():
                if row["kind"] == Kind.CONNECTION:
                    connections += 1
                    total += row["bytes_out"] + row["bytes_in"]
    assert problems.total == 0
    return reader.name, connections, total


def opened(name: str) -> IO[str]:
    path = FOLDER / name
    return gzip.open(path, "rt") if path.suffix == ".gz" else path.open()


def test_zeek_tsv() -> None:
    with opened("zeek-tsv-conn.log.gz") as file:
        rows = [line.split("\t") for line in file if not line.startswith("#")]
    total = sum(int(size) for row in rows for size in row[9:11] if size != "-")

    assert ours("zeek-tsv-conn.log.gz") == ("zeek", len(rows), total)


def test_zeek_json() -> None:
    with opened("zeek-json-conn.log") as file:
        rows = [json.loads(line) for line in file]
    total = sum(row.get("orig_bytes", 0) + row.get("resp_bytes", 0) for row in rows)

    assert ours("zeek-json-conn.log") == ("zeek-json", len(rows), total)


def test_suricata() -> None:
    with opened("suricata-eve.json.gz") as file:
        flows = [e["flow"] for e in map(json.loads, file) if e["event_type"] == "flow"]
    total = sum(flow["bytes_toserver"] + flow["bytes_toclient"] for flow in flows)

    assert ours("suricata-eve.json.gz") == ("suricata", len(flows), total)


def test_joy() -> None:
    with opened("ipcam_anomaly_camera-cloud.json.gz") as file:
        flows = [json.loads(line) for line in file]
    total = sum(flow.get("bytes_out", 0) + flow.get("bytes_in", 0) for flow in flows)

    assert ours("ipcam_anomaly_camera-cloud.json.gz") == ("joy", len(flows), total)


def test_argus_keeps_the_bytes_and_joins_pieces() -> None:
    with opened("test3-mixed.binetflow") as file:
        rows = list(csv.DictReader(file))
    name, connections, total = ours("test3-mixed.binetflow")

    assert (name, total) == ("argus", sum(int(row["TotBytes"]) for row in rows))
    assert connections <= len(rows)


@pytest.mark.skipif(shutil.which("nfdump") is None, reason="nfdump is not installed")
def test_nfdump_keeps_the_bytes_of_its_own_summary() -> None:
    assert ours("test1-malicious.nfdump") == ("nfdump", 2398, 241_025)


@pytest.mark.parametrize(
    ("name", "connections", "total"),
    [
        ("avast_securedns.pcapng", 39, 8_209), ("discord.pcap", 34, 80_760),
        ("saitama.pcapng", 82, 18_366), ("teamspeak3.pcap", 145, 6_117),
    ],
)  # fmt: skip
def test_captures_have_the_bytes_that_tshark_counts(name: str, connections: int, total: int) -> None:  # fmt: skip
    """Payload bytes: the sum of tcp.len and udp.length - 8 that `tshark -T fields` prints."""
    assert ours(name) == ("pcap", connections, total)
