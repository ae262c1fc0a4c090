"""Files as a sensor would have reported them: starts, bursts and ends in the order of time.

For trying alerting and the console on a known case. Limit: all records are
held in memory at once, at most :data:`MAX_RECORDS` of them.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.errors import BeaconError, DataError, PermissionMissingError, UnreachableError
from beacon_detect.hunt.names import Names, packed
from beacon_detect.hunt.run import read_inputs, tell_unread
from beacon_detect.records import SECOND, Kind, pair_ids, record_schema
from beacon_detect.wire import ARROW_CONTENT_TYPE, BatchHeader, encode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from beacon_detect.hunt.run import HuntOptions, Progress
    from beacon_detect.readers.base import Chunk

MAX_RECORDS = 5_000_000
BATCH_RECORDS = 50_000
SENSOR = "replay"
_AT_START = ("duration", "bytes_out", "bytes_in", "packets_out", "packets_in", "tcp_flags_in")
"""Not known yet when a connection begins."""


class Recording:
    """Takes the chunks of all files; gives the events in the order of time."""

    def __init__(self) -> None:
        self.records = 0
        self._tables: list[pa.Table] = []
        self._names = Names()

    def add(self, chunk: Chunk) -> None:
        """Take one chunk of a reader.

        Raises
        ------
        DataError
            There are more records than are held.
        """
        if chunk.names is not None:
            self._names.add(chunk.names)
        if chunk.records is None:
            return
        self.records += chunk.records.num_rows
        if self.records > MAX_RECORDS:
            raise DataError(
                f"more than {MAX_RECORDS:,} records: too many to replay",
                hint="replay fewer files at a time",
            )
        if chunk.joins:
            table = chunk.records
            keys = (packed(table["src"]), packed(table["dst"]))
            pairs = pair_ids(*keys, table["dst_port"].to_numpy(), table["protocol"].to_numpy())
            self._names.add_connections(table["connection_id"].to_numpy(), pairs)
        self._tables.append(chunk.records)

    def events(self) -> tuple[pa.Table, NDArray[np.int64]]:
        """Return the records a sensor would have sent, and when it would have known each (ns)."""
        import pyarrow as pa

        if not self._tables:
            return record_schema().empty_table(), np.zeros(0, np.int64)
        table = self._named(pa.concat_tables(self._tables).unify_dictionaries().combine_chunks())
        kind = table["kind"].to_numpy()
        begin, length = table["time"].to_numpy(), table["duration"].to_numpy()
        whole = np.flatnonzero((kind == Kind.CONNECTION) | (kind == Kind.UPDATE))
        inside = np.flatnonzero(kind == Kind.BURST)
        parts = [
            (_changed(table.take(whole), Kind.START), begin[whole]),
            (table.take(inside), begin[inside]),
            (_ended(table.take(whole)), begin[whole] + length[whole]),
        ]
        moments = np.concatenate([moment for _, moment in parts])
        order = np.argsort(moments, kind="stable")
        joined = pa.concat_tables([part for part, _ in parts]).take(pa.array(order))
        return joined.combine_chunks(), moments[order]

    def _named(self, table: pa.Table) -> pa.Table:
        """Fill in the names that came apart from the records."""
        import pyarrow as pa

        keys = (packed(table["src"]), packed(table["dst"]))
        found = self._names.of(*keys, table["dst_port"].to_numpy(), table["protocol"].to_numpy())
        own = table["name"].to_pylist()
        names = [mine or other for mine, other in zip(own, found, strict=True)]
        column = pa.array(names, pa.string()).dictionary_encode()
        place = table.schema.get_field_index("name")
        return table.set_column(place, table.schema.field("name"), column)


def _changed(table: pa.Table, kind: Kind) -> pa.Table:
    """Return the records as starts: nothing was sent yet."""
    zeros = np.zeros(table.num_rows, np.int64)
    table = _put(table, "kind", np.full(table.num_rows, kind))
    for name in (*_AT_START, "outcome"):
        table = _put(table, name, zeros)
    return table


def _ended(table: pa.Table) -> pa.Table:
    """Return the records as ends, at their last packet."""
    last = table["time"].to_numpy() + table["duration"].to_numpy()
    table = _put(table, "kind", np.full(table.num_rows, Kind.END))
    return _put(_put(table, "time", last), "series_time", last)


def _put(table: pa.Table, name: str, values: NDArray[Any]) -> pa.Table:
    import pyarrow as pa

    place = table.schema.get_field_index(name)
    return table.set_column(
        place, table.schema.field(name), pa.array(values).cast(table.schema.field(name).type)
    )


def shifted(table: pa.Table, by_ns: int) -> pa.Table:
    """Return the records at other times."""
    for name in ("time", "series_time"):
        table = _put(table, name, table[name].to_numpy() + by_ns)
    return table


def record(
    paths: Sequence[str], options: HuntOptions, progress: Progress | None = None
) -> Recording:
    """Read the inputs into a recording.

    Raises
    ------
    DataError
        A path does not exist, or there are too many records.
    """
    recording = Recording()
    files, unknown, _ = read_inputs(paths, options, recording, progress)
    tell_unread(files, unknown, options.tell)
    return recording


@dataclass(slots=True)
class Pace:
    """When to send what: capture time passes ``speed`` times as fast as the clock."""

    speed: float
    """0: as fast as it goes."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def batches(self, moments: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Yield ranges of events when they are due, about one a second."""
        started = self.clock()
        low = 0
        while low < len(moments):
            if self.speed <= 0:
                high = min(low + BATCH_RECORDS, len(moments))
            else:
                due = (moments[low] - moments[0]) / SECOND / self.speed
                self.sleep(max(due - (self.clock() - started), 0.0))
                passed = (self.clock() - started) * self.speed
                reached = moments[0] + int(passed * SECOND)
                high = int(np.searchsorted(moments, max(reached, moments[low]), "right"))
                high = min(high, low + BATCH_RECORDS)
            yield low, high
            low = high
            if self.speed > 0 and low < len(moments):
                self.sleep(1.0)


class Sender:
    """Posts batches to a control plane as a sensor does; a context manager."""

    def __init__(self, url: str, token: str) -> None:
        import httpx2

        headers = {"Content-Type": ARROW_CONTENT_TYPE}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._url = f"{url}/telemetry"
        self._client = httpx2.Client(headers=headers, timeout=60.0, trust_env=False)
        self._session = secrets.token_hex(8)
        self._number = 0

    def __enter__(self) -> Sender:  # noqa: PYI034 (the class is final in use)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, table: pa.Table) -> None:
        """Send one batch.

        Raises
        ------
        UnreachableError, PermissionMissingError, BeaconError
            Nobody answers, the token is wrong, or the batch is refused.
        """
        import httpx2

        self._number += 1
        header = BatchHeader(
            sensor=SENSOR, batch=f"{self._session}-{self._number:08d}", boot=self._session,
            mode="replay", session=self._session,
        )  # fmt: skip
        try:
            answer = self._client.post(self._url, content=encode_batch(table, header))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise UnreachableError(
                f"no control plane can be reached at {self._url}: {error}",
                hint="start one with: beacon-detect server",
            ) from None
        if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise PermissionMissingError(
                "the control plane wants another token", hint="--token-file"
            )
        if answer.status_code not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            raise BeaconError(f"the control plane refuses a batch: {answer.status_code} {answer.text[:300]}")  # fmt: skip
