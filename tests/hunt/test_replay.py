"""Replay: what a sensor would have sent, in order, at its pace."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.errors import BeaconError, DataError, PermissionMissingError, UnreachableError
from beacon_detect.hunt import replay
from beacon_detect.hunt.replay import Pace, Recording, Sender, record, shifted
from beacon_detect.hunt.run import HuntOptions
from beacon_detect.readers.base import Chunk
from beacon_detect.readers.columns import name_table
from beacon_detect.records import SECOND, Kind, Outcome, pack_address, record_schema
from beacon_detect.wire import HEADER_KEY
from ports import own_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_a_connection_becomes_a_start_and_an_end(make_chunk: Callable) -> None:
    recording = Recording()
    recording.add(
        make_chunk([10, 12], bytes_out=7, duration=5 * SECOND, outcome=int(Outcome.CLOSED))
    )
    recording.add(make_chunk([13], kind=Kind.BURST, bytes_out=3))
    table, moments = recording.events()
    table.validate(full=True)
    rows = table.to_pylist()

    assert table.schema.equals(record_schema())
    assert (moments // SECOND).tolist() == [10, 12, 13, 15, 17]
    assert [row["kind"] for row in rows] == [Kind.START, Kind.START, Kind.BURST, Kind.END, Kind.END]
    assert [row["bytes_out"] for row in rows] == [0, 0, 3, 7, 7]
    assert [row["time"] // SECOND for row in rows] == [10, 12, 13, 15, 17]
    assert rows[0]["connection_id"] == rows[3]["connection_id"]
    assert [row["outcome"] for row in rows if row["kind"] == Kind.END] == [Outcome.CLOSED] * 2


def test_names_that_came_apart_are_filled_in(make_chunk: Callable) -> None:
    recording = Recording()
    recording.add(make_chunk([10]))
    ends = [np.frombuffer(pack_address(a), np.uint8).reshape(1, 16) for a in ("10.0.0.5", "192.0.2.7")]  # fmt: skip
    recording.add(Chunk(names=name_table(np.array([1]), *ends, pa.array(["c2.example"]))))

    assert recording.events()[0]["name"].to_pylist() == ["c2.example"] * 2


def test_too_many_records_are_refused(make_chunk: Callable, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(replay, "MAX_RECORDS", 2)
    with pytest.raises(DataError, match="too many to replay"):
        Recording().add(make_chunk([1, 2, 3]))


def test_times_can_be_shifted(make_chunk: Callable) -> None:
    table = shifted(make_chunk([10]).records, 5 * SECOND)

    assert table["time"].to_pylist() == table["series_time"].to_pylist() == [15 * SECOND]


@given(st.lists(st.integers(0, 500), min_size=1, max_size=50), st.sampled_from([0, 1, 7.5, 600]))
def test_events_are_sent_once_in_order_and_never_early(seconds: list[int], speed: float) -> None:
    now = [0.0]

    def sleep(duration: float) -> None:
        now[0] += duration

    moments = np.sort(np.array(seconds)) * SECOND
    ranges = []
    for low, high in Pace(speed, sleep, lambda: now[0]).batches(moments):
        if speed:
            assert (moments[high - 1] - moments[0]) / SECOND / speed <= now[0] + 1e-6
        ranges.append((low, high))

    assert [low for low, _ in ranges] == [0, *[high for _, high in ranges[:-1]]]
    assert ranges[-1][1] == len(moments)
    if speed:
        assert now[0] <= (moments[-1] - moments[0]) / SECOND / speed + 1.0


@pytest.fixture
def plane() -> Iterator[tuple[str, list, list[int]]]:
    bodies: list[tuple[str | None, bytes]] = []
    status = [202]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append((self.headers["Authorization"], body))
            self.send_response(status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1", bodies, status
    server.shutdown()
    server.server_close()
    thread.join()


def test_batches_arrive_as_from_a_sensor(plane: tuple, make_chunk: Callable) -> None:
    url, bodies, _ = plane
    with Sender(url, "secret") as sender:
        sender.send(make_chunk([1]).records)
        sender.send(make_chunk([2, 3]).records)
    tables = [pa.ipc.open_stream(body).read_all() for _, body in bodies]

    assert [token for token, _ in bodies] == ["Bearer secret"] * 2
    assert [table.num_rows for table in tables] == [1, 2]
    assert len({table.schema.metadata[HEADER_KEY] for table in tables}) == 2


@pytest.mark.parametrize(("status", "error"), [(401, PermissionMissingError), (400, BeaconError)])
def test_a_refusal_is_told(plane: tuple, make_chunk: Callable, status: int, error: type) -> None:
    url, _, answer = plane
    answer[0] = status
    with Sender(url, "") as sender, pytest.raises(error):
        sender.send(make_chunk([1]).records)


def test_nobody_there_is_told(make_chunk: Callable) -> None:
    nowhere = f"http://127.0.0.1:{own_port()}/api/v1"
    with Sender(nowhere, "") as sender, pytest.raises(UnreachableError):
        sender.send(make_chunk([1]).records)


def test_files_are_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,src,dst\n1700000000,10.0.0.5,192.0.2.7\n")
    events, moments = record([str(path)], HuntOptions()).events()

    assert events.num_rows == len(moments) == 2
    path.write_text("ts,src,dst\n")
    assert record([str(path)], HuntOptions()).events()[0].num_rows == 0
