"""Every record reaches a real HTTP server exactly once, whatever the server does meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from beacon_detect.config.schema import DataPlane
from beacon_detect.data_plane.buffer import EncodedBatch
from beacon_detect.data_plane.exporter import (
    HANDOVER_BATCHES,
    LONGEST_ANSWER,
    LONGEST_BACKOFF,
    Answer,
    Exporter,
    backoff,
    destination_of,
    judge,
)
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.data_plane.spool import Spool
from beacon_detect.errors import ConfigError
from beacon_detect.wire import ARROW_CONTENT_TYPE, BatchHeader, encode_batch
from patience import PATIENCE, eventually
from ports import own_port
from records_factory import make_records
from telemetry_receiver import Receiver, Request, accepted, receiver


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries come soon."""
    monkeypatch.setattr("beacon_detect.data_plane.exporter.FIRST_BACKOFF", 0.05)


class Parts:
    """An exporter with its spool, of one run of a sensor."""

    def __init__(self, folder: Path, port: int, **config: Any) -> None:
        self.losses = Losses()
        self.spool = Spool(folder, max_bytes=1 << 30, max_age=1e9, losses=self.losses)
        destination = destination_of(DataPlane(control_plane_port=port, **config))
        self.header = BatchHeader(sensor="s1", batch="", boot="b", mode="host", session="run")
        self.exporter = Exporter(self.spool, destination, self.losses)

    def encoded(self, table: pa.Table) -> EncodedBatch:
        batch = self.spool.new_batch_id()
        header = replace(self.header, batch=batch, losses=self.losses.totals())
        return EncodedBatch(batch, table.num_rows, encode_batch(table, header))

    def offer(self, table: pa.Table) -> bool:
        return self.exporter.offer(self.encoded(table))


@contextmanager
def exporting(
    folder: Path, port: int, *, timeout: float = PATIENCE, **config: Any
) -> Iterator[Parts]:
    parts = Parts(folder, port, **config)
    parts.exporter.start()
    try:
        yield parts
    finally:
        parts.exporter.stop(timeout)
        parts.spool.close()


def ports(got: Receiver) -> list[int]:
    return [row["src_port"] for row in got.rows()]


def test_records_arrive_with_the_sensors_header(tmp_path: Path) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        parts.losses.add(Loss.RING_FULL, 5)
        assert parts.offer(make_records(3))
        eventually(lambda: parts.exporter.idle, "all is sent")

        (request,) = got.requests
        assert request.table.equals(make_records(3, connection_id=request.table[1].to_numpy()))
        assert request.headers["Content-Type"] == ARROW_CONTENT_TYPE
        assert "Authorization" not in request.headers
        header = request.header
        assert (header.sensor, header.boot, header.mode, header.session) == (
            "s1",
            "b",
            "host",
            "run",
        )
        assert header.losses == {"ring_full": 5}
        assert len(header.batch) == 26
        statistics = parts.exporter.statistics
        assert (statistics.batches, statistics.records, statistics.failures) == (1, 3, 0)


def test_batches_arrive_in_order_over_one_connection(tmp_path: Path) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        for number in range(1, 8):
            eventually(
                lambda number=number: parts.offer(make_records(1, src_port=number)),
                "there is room",
            )
        eventually(lambda: parts.exporter.idle, "all is sent")

        assert ports(got) == list(range(1, 8))
        batches = [request.header.batch for request in got.requests]
        assert batches == sorted(batches)


def test_a_heartbeat_is_a_batch_without_records(tmp_path: Path) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        parts.offer(make_records(1).slice(0, 0))
        eventually(lambda: got.accepted, "the heartbeat")

        assert got.requests[0].table.num_rows == 0


def test_while_the_control_plane_is_down_batches_wait_and_then_arrive(tmp_path: Path) -> None:
    port = own_port()
    with exporting(tmp_path, port) as parts:
        for number in (1, 2, 3):
            eventually(
                lambda number=number: parts.offer(make_records(1, src_port=number)),
                "there is room",
            )
        eventually(lambda: parts.spool.waiting == 3, "all is spooled")
        eventually(lambda: parts.exporter.statistics.failures, "an attempt failed")
        with receiver(port) as got:
            eventually(lambda: parts.exporter.idle, "all is sent")

            assert ports(got) == [1, 2, 3]
        assert parts.losses.totals() == {}


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 401, 403, 404, 405, 421])
def test_a_refusal_for_now_is_tried_again_with_the_same_batch(tmp_path: Path, status: int) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        got.answer = lambda _request: (status, b"no") if len(got.requests) < 2 else None
        parts.offer(make_records(2))
        eventually(lambda: parts.exporter.idle, "it is accepted in the end")

        assert len(got.requests) == 2
        assert len({request.header.batch for request in got.requests}) == 1
        assert parts.losses.totals() == {}


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_an_invalid_batch_is_set_aside_and_the_next_goes_on(tmp_path: Path, status: int) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        got.answer = lambda r: (status, b'{"detail": "bad"}') if r.table.num_rows == 2 else None
        parts.offer(make_records(2))
        parts.offer(make_records(3))
        eventually(lambda: parts.exporter.idle, "the second is accepted")

        assert [r.table.num_rows for r in got.requests] == [2, 3]
        assert parts.losses.totals() == {"batch_rejected": 2}
        assert len(list((tmp_path / "quarantine").iterdir())) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>hello</html>", b"[]", b'{"status": "accepted"}', b"x" * (3 * LONGEST_ANSWER)],
    ids=["nothing", "a web page", "a list", "no batch", "endless"],
)
def test_only_an_acknowledgement_of_this_very_batch_counts(tmp_path: Path, body: bytes) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        got.answer = lambda _request: (200, body) if len(got.requests) < 2 else None
        parts.offer(make_records(1))
        eventually(lambda: got.accepted, "the second answer is the right one")

        assert len(got.requests) == 2


def test_a_lost_answer_sends_the_same_batch_again(tmp_path: Path) -> None:
    def swallow(request: Request) -> tuple[int, bytes] | None:
        if len(got.requests) == 1:
            got.accepted[request.header.batch] = request
            return 200, b""
        return None

    with receiver() as got, exporting(tmp_path, got.port) as parts:
        got.answer = swallow
        parts.offer(make_records(4))
        eventually(lambda: parts.exporter.idle, "it is acknowledged")

        assert len(got.requests) == 2
        assert len(got.rows()) == 4


def test_a_slow_control_plane_never_holds_up_the_caller(tmp_path: Path) -> None:
    release = threading.Event()

    def slow(_request: Request) -> None:
        release.wait(PATIENCE)

    with receiver() as got, exporting(tmp_path, got.port) as parts:
        got.answer = slow
        for number in range(1, 11):
            eventually(
                lambda number=number: parts.offer(make_records(1, src_port=number)),
                "the spooler has room",
            )
        eventually(lambda: parts.spool.waiting == 10, "all is spooled")
        assert got.accepted == {}
        release.set()
        eventually(lambda: parts.exporter.idle, "all is sent")

        assert ports(got) == list(range(1, 11))


def test_the_handover_is_bounded(tmp_path: Path) -> None:
    parts = Parts(tmp_path, own_port())
    batch = parts.encoded(make_records(1))

    assert [parts.exporter.offer(batch) for _ in range(HANDOVER_BATCHES + 1)] == [
        *[True] * HANDOVER_BATCHES,
        False,
    ]
    assert not parts.exporter.offer(batch, wait=0.01)
    parts.spool.close()


def test_a_stop_with_the_control_plane_down_is_quick_and_keeps_all(tmp_path: Path) -> None:
    began = time.monotonic()
    with exporting(tmp_path, own_port()) as parts:
        parts.offer(make_records(1, src_port=1))
        parts.offer(make_records(1, src_port=2))
    assert time.monotonic() - began < PATIENCE / 2  # the longest it would be waited for

    with receiver() as got, exporting(tmp_path, got.port):
        eventually(lambda: len(got.accepted) == 2, "the next run sends them")
        assert ports(got) == [1, 2]


def test_a_stop_gives_up_a_control_plane_that_hangs(tmp_path: Path) -> None:
    release = threading.Event()
    with receiver() as got:
        got.answer = lambda _request: (release.wait(2 * PATIENCE), None)[1]
        with exporting(tmp_path, got.port, timeout=0.3) as parts:
            parts.offer(make_records(1))
            eventually(lambda: got.requests, "the request is under way")
        assert got.accepted == {}
        assert parts.spool.waiting == 1
        release.set()
        eventually(lambda: parts.spool.waiting == 0, "the thread ends in peace")


def test_a_stop_sends_what_was_just_handed_over(tmp_path: Path) -> None:
    with receiver() as got:
        with exporting(tmp_path, got.port) as parts:
            parts.offer(make_records(1, src_port=1))
            parts.offer(make_records(1, src_port=2))

        assert ports(got) == [1, 2]


def refused(parts: Parts) -> None:
    """Hand over three records and wait until the disk has refused them."""
    with capture_logs() as logged:
        parts.offer(make_records(3))
        eventually(lambda: "spool not writable" in {line["event"] for line in logged}, "it is told")


def test_an_unwritable_spool_is_counted_at_the_stop(tmp_path: Path) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        (tmp_path / "waiting").rmdir()
        refused(parts)
        parts.exporter.check()
        parts.exporter.stop(PATIENCE)
        assert parts.losses.totals() == {"spool_unwritable": 3}


def test_the_spool_is_tried_again_when_it_was_not_writable(tmp_path: Path) -> None:
    with receiver() as got, exporting(tmp_path, got.port) as parts:
        (tmp_path / "waiting").rename(tmp_path / "away")
        refused(parts)
        (tmp_path / "away").rename(tmp_path / "waiting")
        eventually(lambda: got.accepted, "it is spooled and sent")

        assert parts.losses.totals() == {}


def test_the_death_of_a_thread_is_told(tmp_path: Path) -> None:
    parts = Parts(tmp_path, own_port())
    parts.exporter.start()
    parts.exporter.offer("no batch")  # type: ignore[arg-type]

    def told() -> bool:
        try:
            parts.exporter.check()
        except AttributeError:
            return True
        return False

    eventually(told, "the collector learns of it")
    parts.exporter.stop(0.1)
    parts.spool.close()


def test_the_token_is_sent_and_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BEACON_API_TOKEN", raising=False)
    token = tmp_path / "token"
    token.write_text("old\n")

    def guard(request: Request) -> tuple[int, bytes] | None:
        return None if request.headers["Authorization"] == "Bearer new" else (401, b"")

    with (
        receiver() as got,
        exporting(tmp_path / "spool", got.port, token_file=str(token)) as parts,
    ):
        got.answer = guard
        parts.offer(make_records(1))
        eventually(lambda: got.requests, "the first attempt")
        token.write_text("new\n")
        eventually(lambda: parts.exporter.idle, "the new token is used")

        assert got.requests[0].headers["Authorization"] == "Bearer old"


def test_a_token_file_that_is_away_for_a_moment_only_delays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEACON_API_TOKEN", raising=False)
    token = tmp_path / "token"
    token.write_text("t")
    with (
        receiver() as got,
        exporting(tmp_path / "spool", got.port, token_file=str(token)) as parts,
    ):
        token.write_bytes(b"\xff")
        parts.offer(make_records(1))
        eventually(lambda: parts.exporter.statistics.failures >= 1, "not readable as text")
        token.unlink()
        # More attempts may have seen the unreadable file: two more cannot both be one of them.
        gone = parts.exporter.statistics.failures + 2
        eventually(lambda: parts.exporter.statistics.failures >= gone, "gone")
        token.write_text("t")
        eventually(lambda: parts.exporter.idle, "it is back")

        assert len(got.accepted) == 1


def test_the_token_of_the_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEACON_API_TOKEN", "given")

    assert destination_of(DataPlane(token_file=str(tmp_path / "none"))).token() == "given"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9090/api/v1/telemetry"),
        ("control.example", "http://control.example:9090/api/v1/telemetry"),
        ("2001:db8::1", "http://[2001:db8::1]:9090/api/v1/telemetry"),
    ],
)
def test_addresses_of_every_kind(host: str, url: str) -> None:
    assert destination_of(DataPlane(control_plane_host=host)).url == url


@pytest.mark.parametrize("host", ["a b", "http://x", "x/y", "user@x", "x:y:z"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="control_plane_host"):
        destination_of(DataPlane(control_plane_host=host))


def test_an_unreadable_token_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BEACON_API_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="token_file"):
        destination_of(DataPlane(token_file=str(tmp_path / "none")))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(1, 10_000))
def test_the_wait_grows_and_is_bounded(failures: int) -> None:
    shortest, longest = (backoff(failures, pick) for pick in (min, max))

    assert 0 < shortest <= backoff(failures) <= longest <= LONGEST_BACKOFF
    assert backoff(failures + 1, max) >= longest


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(100, 599), st.binary(max_size=50))
def test_only_success_or_a_fault_of_the_batch_is_final(status: int, body: bytes) -> None:
    answer, reason = judge(status, body, "B")

    if answer is Answer.ACCEPTED:
        assert status in (200, 202)
        assert json.loads(body)["batch"] == "B"
    elif answer is Answer.INVALID:
        assert 400 <= status < 500
        assert status not in (401, 403, 408, 429)
    assert (answer is Answer.ACCEPTED) == (not reason)


def test_an_acknowledgement_names_the_batch() -> None:
    table = make_records(1)
    body = accepted(Request(BatchHeader(sensor="s", batch="B"), table, {}))

    assert judge(202, body, "B") == (Answer.ACCEPTED, "")
    assert judge(202, body, "C")[0] is Answer.LATER
