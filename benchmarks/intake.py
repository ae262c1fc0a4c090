"""How many records a second the control plane takes over HTTP, each durable before it is answered.

    python benchmarks/intake.py [--records N] [--batch N] [--connections N]

A real server in a process of its own; clients in this process, on the same
cores, over loopback: eight busy sensors by default, each of which has a batch
of this size every two seconds at the target rate. Bodies are made before the clock starts; the clock stops
with the last answer, and the server must then have counted every record. The
baseline is SQLite (WAL, synchronous=FULL) fed with decoded Arrow batches, one
commit a batch, one table with the index a detector needs, without HTTP, in the
same run.
"""

from __future__ import annotations

import argparse
import http.client
import json
import queue
import sqlite3
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from process_figures import cpu_seconds, resident_mib  # noqa: E402
from workload import connections  # noqa: E402

from beacon_detect.control_plane.columns import table_pair_ids  # noqa: E402
from beacon_detect.records import SECOND, record_schema  # noqa: E402
from beacon_detect.wire import ARROW_CONTENT_TYPE, BatchHeader, encode_batch  # noqa: E402
from live_server import LiveServer  # noqa: E402
from records_factory import json_rows  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

NDJSON = "application/x-ndjson"
TARGETS = {"Arrow": 200_000, "NDJSON": 100_000}
NDJSON_SHARE = 5
"""NDJSON batches are so many times smaller: their bodies take long to make and are large."""
BASELINE_RECORDS = 200_000


@dataclass
class Result:
    """What a run cost."""

    records: int
    seconds: float
    waits: list[float]
    server_cpu: float
    body_bytes: int

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def main() -> None:
    """Run the forms one after the other, each on a new server; print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("--batch", type=int, default=50_000, help="records of a batch")
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    batches = max(1, options.records // options.batch)
    small = max(1, options.batch // NDJSON_SHARE)
    baseline = sqlite_rate(options.batch)
    print(f"{'SQLite WAL FULL':<16}{baseline:>12,.0f} records/s   (baseline, no HTTP)")
    for name, size, encode in (
        ("Arrow", options.batch, arrow_body),
        ("NDJSON", small, ndjson_body),
    ):
        result = run(batches, size, options.connections, encode)
        waits = np.array(result.waits) * 1000
        verdict = "ok" if result.rate >= TARGETS[name] else "BELOW TARGET"
        print(
            f"{name:<16}{result.rate:>12,.0f} records/s   {result.rate / baseline:.1f} x baseline,"
            f" target {TARGETS[name]:,}: {verdict}\n"
            f"{'':16}{result.records:,} records in {result.seconds:.1f} s,"
            f" {result.body_bytes / result.records:.0f} bytes each,"
            f" server {result.server_cpu / result.records * 1e6:.1f} us CPU a record,"
            f" answer p50 {np.median(waits):.0f} / p99 {np.percentile(waits, 99):.0f}"
            f" / max {waits.max():.0f} ms"
        )


def arrow_body(table: pa.Table, number: int) -> tuple[bytes, dict[str, str]]:
    """Return a batch as the sensor sends it."""
    header = BatchHeader(f"sensor-{number % 8}", f"batch-{number:08d}")
    return encode_batch(table, header), {"Content-Type": ARROW_CONTENT_TYPE}


def ndjson_body(table: pa.Table, number: int) -> tuple[bytes, dict[str, str]]:
    """Return a batch as a script would send it: fields that say nothing are left away."""
    rows = json_rows(table)
    for row in rows:
        del row["series_time"]
    lines = "\n".join(json.dumps({k: v for k, v in row.items() if v}) for row in rows)
    return lines.encode(), {"Content-Type": NDJSON, "Beacon-Batch": f"batch-{number:08d}"}


def run(
    batches: int,
    size: int,
    connections_open: int,
    encode: Callable[[pa.Table, int], tuple[bytes, dict[str, str]]],
) -> Result:
    """Send ``batches`` batches of ``size`` records and check that all were counted."""
    now = time.time_ns()
    # The last twenty minutes: nothing is rolled or dropped meanwhile, as on a busy server.
    span = 1200 * SECOND // batches
    bodies = queue.SimpleQueue[tuple[bytes, dict[str, str]]]()
    body_bytes = 0
    for number in range(batches):
        table = connections(size, seed=number, first=now - (batches - number) * span, span=span)
        body = encode(table, number)
        body_bytes += len(body[0])
        bodies.put(body)
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder)).start()
        try:
            assert server.child is not None
            before = cpu_seconds(server.child.pid)
            begin = time.perf_counter()
            waits = send_all(server.port, bodies, connections_open)
            seconds = time.perf_counter() - begin
            server_cpu = cpu_seconds(server.child.pid) - before
            counted = server.fetch("status")["events_received"]
            assert counted == batches * size, f"{counted} of {batches * size} counted"
            print(f"  (server: {resident_mib(server.child.pid):.0f} MiB resident)", file=sys.stderr)
        finally:
            server.stop()
    return Result(batches * size, seconds, waits, server_cpu, body_bytes)


def send_all(
    port: int, bodies: queue.SimpleQueue[tuple[bytes, dict[str, str]]], connections_open: int
) -> list[float]:
    """Send every body over a few kept-alive connections; return the wait for each answer (s)."""
    waits: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                body, headers = bodies.get_nowait()
            except queue.Empty:
                connection.close()
                return
            begin = time.perf_counter()
            while True:
                connection.request("POST", "/api/v1/telemetry", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 503:
                    break
                time.sleep(0.05)
            assert answer.status == 200, text
            waits.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=client) for _ in range(connections_open)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits


def sqlite_rate(size: int) -> float:
    """Return the records a second that SQLite stores from decoded batches, one commit for each."""
    names = [n for n in record_schema().names if n not in {"src", "dst", "dst_port", "protocol"}]
    batches = max(1, BASELINE_RECORDS // size)
    tables = [
        connections(size, seed=number, first=time.time_ns(), span=SECOND)
        for number in range(batches)
    ]
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "baseline.sqlite")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute(f"CREATE TABLE record (pair_id, {', '.join(names)})")
        database.execute("CREATE INDEX by_pair ON record (pair_id, series_time)")
        insert = f"INSERT INTO record VALUES (?{', ?' * len(names)})"  # noqa: S608 - constants
        begin = time.perf_counter()
        for table in tables:
            # SQLite's integers are signed; half the hash will do here.
            ids = (table_pair_ids(table) >> np.uint64(1)).astype(np.int64).tolist()
            columns = (table[name].to_pylist() for name in names)
            database.executemany(insert, zip(ids, *columns, strict=True))
            database.commit()
        seconds = time.perf_counter() - begin
        database.close()
    return batches * size / seconds


if __name__ == "__main__":
    main()
