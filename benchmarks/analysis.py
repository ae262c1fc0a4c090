"""How long a pass of the analyzer takes over 100,000 pairs of 100 events, all of them touched.

    python benchmarks/analysis.py [--pairs N] [--events N] [--addresses N]

The pass is the real one: working set, measurement, judgement, one transaction
in a real store. One pair in a hundred is a beacon (60 s, 10 % jitter), the
others are random (Poisson) at the same rate. The baseline is the same
measurement in plain NumPy, one pair at a time, on a sample of the same pairs
in the same run. Compiling (once for each machine, cached) is not counted.
``--addresses N`` gives every N pairs one source and one name, so that each of
them is merged into a group and measured again.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from beacon_detect import analysis
from beacon_detect.analysis import reference
from beacon_detect.analysis.model import load_model
from beacon_detect.config import Config
from beacon_detect.control_plane.alerts.manager import AlertManager
from beacon_detect.control_plane.analyzer import Analyzer
from beacon_detect.control_plane.pairs import PairTable
from beacon_detect.control_plane.storage.store import CommittedBatch, Store
from beacon_detect.control_plane.whitelist import Whitelist
from beacon_detect.control_plane.working_set import WorkingSet
from beacon_detect.records import SECOND, V4_PREFIX, Kind, Protocol, record_schema
from beacon_detect.wire import BatchHeader

INTERVAL = 60.0
BEACONS_PER_PAIR = 0.01
SAMPLE = 500
ROWS_PER_TABLE = 500_000


def main() -> None:
    """Fill the working set, make one pass, print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100, help="events of a pair")
    parser.add_argument("--addresses", type=int, default=1, help="pairs behind one name")
    options = parser.parse_args()
    config = Config.model_validate(
        {"alerting": {"syslog": {"enabled": False}, "file": {"enabled": False}}}
    )
    total = options.pairs * options.events
    working_set = WorkingSet(max_events=total + ROWS_PER_TABLE, series_length=options.events)
    pairs = PairTable()
    fill(working_set, pairs, event_times(options.pairs, options.events), options.addresses)
    analysis.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder), memory_limit_mb=256, on_commit=lambda _batches: None)
        try:
            alerts = AlertManager(store, config.alerting, config.detection.alert_threshold)
            whitelist = Whitelist(config.whitelist)
            analyzer = Analyzer(
                store=store,
                working_set=working_set,
                pairs=pairs,
                alerts=alerts,
                config=lambda: config,
                whitelist=lambda: whitelist,
            )
            processor = time.process_time()
            done = analyzer.run_pass()
            processor = time.process_time() - processor
        finally:
            store.close()
    baseline = loop_seconds_per_pair(options.events)
    rate = done.pairs / done.duration
    print(f"pairs analyzed            {done.pairs:>10,} of {options.events} events each")
    print(f"beacons found             {done.beacons:>10,}")
    print(f"pass                      {done.duration:>10.2f} s on {os.cpu_count()} cores")
    print(f"processor time            {processor:>10.2f} s")
    print(f"pairs a second            {rate:>10,.0f}")
    print(f"NumPy, one pair at a time {1 / baseline:>10,.0f} pairs a second (sample of {SAMPLE})")
    print(f"ratio                     {rate * baseline:>10.1f} times faster")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory               {peak:>10,.0f} MiB")


def event_times(pairs: int, events: int) -> np.ndarray:
    """Return the event times of all pairs, shape ``(pairs, events)``, ns; beacons first."""
    rng = np.random.default_rng(1)
    intervals = rng.exponential(INTERVAL, (pairs, events))
    beacons = max(1, int(pairs * BEACONS_PER_PAIR))
    intervals[:beacons] = INTERVAL * rng.uniform(0.9, 1.1, (beacons, events))
    newest = time.time_ns()
    times = np.cumsum((intervals * SECOND).astype(np.int64), axis=1)
    return times - times[:, -1:] + newest


def fill(working_set: WorkingSet, pairs: PairTable, times: np.ndarray, addresses: int) -> None:
    """Add the events as the intake would, in record tables of many pairs."""
    per_table = max(1, ROWS_PER_TABLE // times.shape[1])
    for first in range(0, len(times), per_table):
        part = times[first : first + per_table]
        numbers = np.repeat(np.arange(first, first + len(part)), times.shape[1])
        records = table(numbers, part.ravel(), addresses)
        batch = CommittedBatch.of(BatchHeader("sensor-1", f"{first}"), records)
        working_set.add(batch.pair_ids, batch.table)
        pairs.add(batch)


def table(numbers: np.ndarray, times: np.ndarray, addresses: int) -> pa.Table:
    """Return a record table of connections; ``addresses`` pairs in a row share source and name."""
    count = len(numbers)
    v4 = np.frombuffer(V4_PREFIX, np.uint8)
    source = np.zeros((count, 16), np.uint8)
    source[:, :12] = v4
    source[:, 12:] = (numbers // addresses + (10 << 24)).astype(">u4").view(np.uint8).reshape(-1, 4)
    target = np.zeros((count, 16), np.uint8)
    target[:, :12] = v4
    target[:, 12:15] = (203, 0, 113)
    target[:, 15] = numbers % addresses
    known = {
        "kind": np.full(count, Kind.CONNECTION, np.uint8),
        "connection_id": np.arange(count, dtype=np.uint64),
        "time": times,
        "series_time": times,
        "src": packed(source),
        "dst": packed(target),
        "dst_port": np.full(count, 443, np.uint16),
        "protocol": np.full(count, Protocol.TCP, np.uint8),
    }
    columns = []
    for field in record_schema():
        if field.name == "name" and addresses > 1:
            names, codes = np.unique(numbers // addresses, return_inverse=True)
            texts = [f"host-{name}.example" for name in names.tolist()]
            columns.append(pa.DictionaryArray.from_arrays(codes.astype(np.int32), texts))
        elif field.name in known:
            columns.append(pa.array(known[field.name]).cast(field.type))
        elif pa.types.is_dictionary(field.type):
            columns.append(pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [""]))
        else:
            columns.append(pa.array(np.zeros(count, field.type.to_pandas_dtype())))
    return pa.Table.from_arrays(columns, schema=record_schema())


def packed(addresses: np.ndarray) -> pa.Array:
    """Return ``(n, 16)`` bytes as an Arrow column."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(addresses), [None, pa.py_buffer(addresses.tobytes())]
    )


def loop_seconds_per_pair(events: int) -> float:
    """Return what the plain NumPy implementation takes for a pair."""
    times = event_times(SAMPLE, events)
    batch = analysis.SeriesBatch.from_lists(list(times))
    begin = time.perf_counter()
    reference.measure(batch, analysis.Settings(), load_model().forest)
    return (time.perf_counter() - begin) / SAMPLE


if __name__ == "__main__":
    main()
