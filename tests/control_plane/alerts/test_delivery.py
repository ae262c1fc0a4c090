"""Deliveries: retried, counted, committed, in order where promised, never held up by another channel."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alert_factory import NOW, alert
from beacon_detect.config.schema import AlertFile, Syslog, Webhook
from beacon_detect.control_plane.alerts.channel import ChannelSpec, RetryPolicy
from beacon_detect.control_plane.alerts.channels import CHANNELS
from beacon_detect.control_plane.alerts.delivery import DeliveryWorker
from beacon_detect.control_plane.alerts.message import Alert
from beacon_detect.control_plane.alerts.rfc5424 import SD_ID
from beacon_detect.control_plane.storage.alert_store import (
    Delivery,
    DeliveryState,
    insert_alerts,
    list_alerts,
)
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.records import SECOND
from patience import PATIENCE, eventually
from rfc5424_reader import read_message


@dataclass
class Bench:
    """Starts workers on a store and stops them at the end."""

    store: Store
    workers: list[DeliveryWorker] = field(default_factory=list)

    def start(self, spec: ChannelSpec, settings: Any) -> DeliveryWorker:
        worker = DeliveryWorker(spec, self.store)
        worker.configure(settings)
        worker.start()
        self.workers.append(worker)
        return worker

    def webhook(self, url: str, **settings: Any) -> DeliveryWorker:
        values = {"retry_backoff": 0.05, "timeout": PATIENCE, **settings}
        return self.start(CHANNELS["webhook"], Webhook(enabled=True, url=url, **values))

    def raise_alerts(self, *alerts: Alert, channel: str = "webhook") -> None:
        self.store.transact(
            lambda connection: insert_alerts(connection, alerts, lambda _: [channel])
        ).result(PATIENCE)
        for worker in self.workers:
            worker.wake()

    def delivery(self, told: Alert) -> Delivery:
        [found] = [
            stored for stored in list_alerts(self.store, limit=1000) if stored.alert.id == told.id
        ]
        return found.deliveries[0]

    def ends(self, told: Alert, state: DeliveryState = DeliveryState.DELIVERED) -> Delivery:
        eventually(lambda: self.delivery(told).state is state)
        return self.delivery(told)

    def tried(self, told: Alert, attempts: int) -> Delivery:
        eventually(lambda: self.delivery(told).attempts >= attempts)
        return self.delivery(told)

    def stop(self) -> None:
        for worker in self.workers:
            worker.ask_to_stop()
        assert all(worker.join(PATIENCE) for worker in self.workers)
        self.workers.clear()


@pytest.fixture
def bench(store: Store) -> Iterator[Bench]:
    bench = Bench(store)
    yield bench
    bench.stop()


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hold: threading.Event | None = None


def test_what_was_pending_at_the_start_is_delivered(bench: Bench, http_receiver: Any) -> None:
    told = alert()
    bench.raise_alerts(told)
    bench.webhook(http_receiver.url())

    assert http_receiver.next().body.decode() == told.document
    assert bench.ends(told) == Delivery("webhook", DeliveryState.DELIVERED, 1, "")


def test_an_alert_raised_later_is_delivered_when_woken(bench: Bench, http_receiver: Any) -> None:
    bench.webhook(http_receiver.url())
    for _ in range(3):
        told = alert()
        bench.raise_alerts(told)
        assert http_receiver.next().body.decode() == told.document


def test_failed_attempts_are_repeated_and_counted(bench: Bench, http_receiver: Any) -> None:
    answers = iter([Answer(500), Answer(503), Answer(200)])
    http_receiver.answer = lambda _: next(answers)
    bench.webhook(http_receiver.url())
    told = alert()
    bench.raise_alerts(told)

    assert bench.ends(told) == Delivery("webhook", DeliveryState.DELIVERED, 3, "")
    assert http_receiver.requests.qsize() == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_a_delivery_is_given_up_after_the_retries(
    bench: Bench, http_receiver: Any, retries: int
) -> None:
    http_receiver.answer = lambda _: Answer(502)
    bench.webhook(http_receiver.url(), retries=retries)
    told = alert()
    bench.raise_alerts(told)

    reason = f"gave up after {retries + 1} attempts: http://127.0.0.1: HTTP 502"
    failed = bench.ends(told, DeliveryState.FAILED)
    assert failed == Delivery("webhook", DeliveryState.FAILED, retries + 1, reason)
    assert http_receiver.requests.qsize() == retries + 1


def test_a_long_outage_is_logged_ever_more_rarely(bench: Bench, http_receiver: Any) -> None:
    http_receiver.answer = lambda _: Answer(500)
    told = alert()
    with capture_logs() as logged:
        bench.webhook(http_receiver.url("/secret"), retries=10)
        bench.raise_alerts(told)
        bench.tried(told, 5)
        bench.stop()

    lines = [line for line in logged if line["event"] == "alert not delivered"]
    assert [line["attempts"] for line in lines][:3] == [1, 2, 4]
    assert lines[0]["error"] == "http://127.0.0.1: HTTP 500"
    assert "secret" not in str(logged)


def test_a_final_refusal_is_recorded_and_the_next_alert_goes_out(
    bench: Bench, http_receiver: Any
) -> None:
    answers = iter([Answer(404), Answer(200)])
    http_receiver.answer = lambda _: next(answers)
    refused, taken = alert(now=NOW), alert(now=NOW + SECOND)
    bench.raise_alerts(refused, taken)
    bench.webhook(http_receiver.url())

    bench.ends(taken)
    assert bench.delivery(refused) == Delivery(
        "webhook", DeliveryState.FAILED, 1, "http://127.0.0.1: HTTP 404"
    )


def test_an_alert_the_receiver_chokes_on_holds_up_no_other(
    bench: Bench, http_receiver: Any
) -> None:
    poison = alert(now=NOW)
    http_receiver.answer = lambda request: Answer(
        500 if poison.id in request.body.decode() else 200
    )
    bench.raise_alerts(poison)
    bench.webhook(http_receiver.url(), retry_backoff=3600.0)
    bench.tried(poison, 1)
    others = [alert(now=NOW + step * SECOND) for step in range(1, 4)]
    bench.raise_alerts(*others)

    for told in others:
        bench.ends(told)
    assert bench.delivery(poison).state is DeliveryState.PENDING


def test_the_first_retry_waits_for_the_backoff(bench: Bench, http_receiver: Any) -> None:
    times: list[float] = []

    def answer(_request: Any) -> Answer:
        times.append(time.monotonic())
        return Answer(500 if len(times) < 3 else 200)

    http_receiver.answer = answer
    bench.webhook(http_receiver.url(), retry_backoff=0.2)
    told = alert()
    bench.raise_alerts(told)
    bench.ends(told)

    # Jitter shortens a wait by a fifth at most; a busy machine may lengthen it at will.
    assert times[1] - times[0] >= 0.2 * 0.8
    assert times[2] - times[1] >= 0.4 * 0.8


def test_retry_after_holds_back_new_alerts_too(bench: Bench, http_receiver: Any) -> None:
    times: list[float] = []

    def answer(_request: Any) -> Answer:
        times.append(time.monotonic())
        return Answer(429, {"Retry-After": "1"}) if len(times) == 1 else Answer()

    http_receiver.answer = answer
    bench.webhook(http_receiver.url())
    first, second = alert(now=NOW), alert(now=NOW + SECOND)
    bench.raise_alerts(first)
    bench.tried(first, 1)
    bench.raise_alerts(second)
    bench.ends(first)
    bench.ends(second)

    assert times[1] - times[0] >= 0.95


def test_syslog_alerts_keep_their_order_through_an_outage(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    told = [alert(now=NOW + step * SECOND) for step in range(4)]
    bench.start(CHANNELS["syslog"], Syslog(socket_path=str(path)))
    bench.raise_alerts(told[0], channel="syslog")
    failed = bench.tried(told[0], 1)
    bench.raise_alerts(*told[1:], channel="syslog")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(PATIENCE)
        receiver.bind(str(path))
        got = [read_message(receiver.recv(65536)).elements[SD_ID]["id"] for _ in told]

    assert got == [one.id for one in told]
    assert failed.last_error == f"syslog {path}: No such file or directory"
    assert bench.ends(told[0]).last_error == ""
    assert bench.ends(told[3]).attempts == 1


def test_new_settings_hold_at_once_and_end_the_waiting(
    bench: Bench, http_receiver: Any, dead_port: int
) -> None:
    worker = bench.webhook(f"http://127.0.0.1:{dead_port}/", retry_backoff=3600.0)
    told = alert()
    bench.raise_alerts(told)
    bench.tried(told, 1)
    worker.configure(Webhook(enabled=True, url=http_receiver.url(), timeout=PATIENCE))

    assert http_receiver.next().body.decode() == told.document
    assert bench.ends(told).attempts == 2


def test_the_same_settings_again_change_nothing(bench: Bench, dead_port: int) -> None:
    settings = Webhook(enabled=True, url=f"http://127.0.0.1:{dead_port}/", retry_backoff=3600.0)
    worker = bench.start(CHANNELS["webhook"], settings)
    told, later = alert(now=NOW), alert(now=NOW + SECOND)
    bench.raise_alerts(told)
    bench.tried(told, 1)
    worker.configure(settings.model_copy())
    bench.raise_alerts(later)
    bench.tried(later, 1)

    assert bench.delivery(told).attempts == 1


def test_a_disabled_channel_keeps_its_alerts_until_it_is_enabled(
    bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "alerts.json"
    off = AlertFile(enabled=False, path=str(path))
    bench.start(CHANNELS["file"], off)
    told = alert()
    bench.raise_alerts(told, channel="file")
    bench.stop()

    assert not path.exists()
    assert bench.delivery(told).state is DeliveryState.PENDING

    worker = bench.start(CHANNELS["file"], off)
    worker.configure(AlertFile(path=str(path)))
    bench.ends(told)
    assert path.read_text("utf-8") == told.document + "\n"


def test_a_delivered_alert_is_not_delivered_again_by_the_next_run(
    bench: Bench, http_receiver: Any
) -> None:
    first, second = alert(now=NOW), alert(now=NOW + SECOND)
    bench.webhook(http_receiver.url())
    bench.raise_alerts(first)
    bench.ends(first)
    bench.stop()
    bench.webhook(http_receiver.url())
    bench.raise_alerts(second)
    bench.ends(second)

    bodies = [http_receiver.next().body.decode() for _ in range(2)]
    assert bodies == [first.document, second.document]
    assert http_receiver.requests.empty()


def test_a_receiver_that_hangs_does_not_hang_the_stop(bench: Bench, http_receiver: Any) -> None:
    hold = threading.Event()
    http_receiver.answer = lambda _: Answer(hold=hold)
    worker = bench.webhook(http_receiver.url())
    told = alert()
    bench.raise_alerts(told)
    http_receiver.next()
    worker.ask_to_stop()

    assert not worker.join(0.05)
    hold.set()
    assert worker.join(PATIENCE)
    assert bench.delivery(told).state is DeliveryState.DELIVERED


def test_what_was_delivered_is_not_repeated_while_the_store_fails(
    bench: Bench, http_receiver: Any
) -> None:
    hold = threading.Event()
    http_receiver.answer = lambda _: Answer(hold=hold)
    worker = bench.webhook(http_receiver.url())
    told = alert()
    bench.raise_alerts(told)
    http_receiver.next()
    sql(bench.store, "ALTER TABLE delivery RENAME TO gone")
    with capture_logs() as logged:
        hold.set()
        eventually(lambda: "alert delivery not recorded" in {line["event"] for line in logged})
    sql(bench.store, "ALTER TABLE gone RENAME TO delivery")
    worker.wake()

    assert bench.ends(told).attempts == 1
    assert http_receiver.requests.empty()


def sql(store: Store, statement: str) -> None:
    store.transact(lambda connection: connection.execute(statement)).result(PATIENCE)


class Brittle:
    """A channel with a bug."""

    def __init__(self, settings: Any) -> None:
        self._broken: queue.Queue[bool] = settings.broken

    def deliver(self, _alert: Alert) -> None:
        if self._broken.get():
            raise ValueError("holds a secret")

    def close(self) -> None:
        """Nothing to close."""


@dataclass
class BrittleSettings:
    enabled: bool = True
    broken: queue.Queue[bool] = field(default_factory=queue.Queue)


BRITTLE = ChannelSpec(
    name="brittle",
    open=Brittle,
    policy=lambda _: RetryPolicy(first=0.01, longest=0.01, limit=None),
)


def test_a_bug_in_a_channel_is_a_failure_like_any_other(bench: Bench) -> None:
    settings = BrittleSettings()
    told = alert()
    bench.start(BRITTLE, settings)
    bench.raise_alerts(told, channel="brittle")
    settings.broken.put(True)
    failed = bench.tried(told, 1)
    settings.broken.put(False)

    assert failed.last_error.startswith("internal error: ValueError at test_delivery.py:")
    assert "secret" not in failed.last_error
    assert bench.ends(told).attempts == 2


def test_a_backlog_is_delivered_whole_and_in_order(bench: Bench, tmp_path: Path) -> None:
    told = [alert(now=NOW + step * SECOND) for step in range(200)]
    bench.raise_alerts(*told, channel="file")
    bench.start(CHANNELS["file"], AlertFile(path=str(tmp_path / "alerts.json")))
    bench.ends(told[-1])

    lines = (tmp_path / "alerts.json").read_text("utf-8").splitlines()
    assert lines == [one.document for one in told]
