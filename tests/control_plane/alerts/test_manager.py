"""The alert manager: one transaction with the findings, every channel on its own, restarts unseen."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alert_factory import HOUR, NOW, finding, findings
from beacon_detect.config.schema import AlertFile, Alerting, Syslog, Webhook
from beacon_detect.control_plane.alerts.channels import CHANNELS
from beacon_detect.control_plane.alerts.manager import AlertManager, ChannelStatus
from beacon_detect.control_plane.alerts.message import Alert, AlertKind
from beacon_detect.control_plane.alerts.rfc5424 import SD_ID
from beacon_detect.control_plane.findings import Finding
from beacon_detect.control_plane.storage.alert_store import DeliveryState, list_alerts
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.records import SECOND
from patience import PATIENCE, eventually
from rfc5424_reader import read_message


def only(**channels: Any) -> Alerting:
    """Return settings with the named channels and no others."""
    off = {"syslog": Syslog(enabled=False), "file": AlertFile(enabled=False), "webhook": Webhook()}
    return Alerting(**off | channels)


def webhook(receiver: Any) -> Webhook:
    """Return settings that wait for the receiver: an attempt cut short would be repeated."""
    return Webhook(enabled=True, url=receiver.url(), timeout=PATIENCE)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def manage(store: Store, clock: Clock) -> Callable[..., AlertManager]:
    """Make a manager that is not started."""

    def made(alerting: Alerting | None = None, threshold: float = 0.7) -> AlertManager:
        return AlertManager(store, alerting or only(), threshold, clock=clock)

    return made


@pytest.fixture
def running(manage: Callable[..., AlertManager]) -> Iterator[Callable[..., AlertManager]]:
    with ExitStack() as stack:

        def started(*how: Any) -> AlertManager:
            manager = manage(*how)
            manager.start()
            stack.callback(manager.stop, PATIENCE)
            return manager

        yield started


def consider(manager: AlertManager, store: Store, found: Sequence[Finding]) -> list[Alert]:
    alerts = store.transact(lambda connection: manager.consider(found, connection)).result(PATIENCE)
    manager.wake()
    return alerts


def states(store: Store) -> dict[str, DeliveryState]:
    [stored] = list_alerts(store, limit=1)
    return {delivery.channel: delivery.state for delivery in stored.deliveries}


def test_a_finding_over_the_threshold_is_told_once(
    manage: Callable[..., AlertManager], store: Store
) -> None:
    manager = manage()
    found = [finding(id="a"), finding("LOW", id="b")]

    [told] = consider(manager, store, found)
    assert (told.kind, told.finding_id, told.time) == (AlertKind.NEW, "a", NOW)
    assert consider(manager, store, found) == []
    assert [stored.alert for stored in list_alerts(store, limit=10)] == [told]


def test_worse_and_back_say_what_changed(
    manage: Callable[..., AlertManager], store: Store, clock: Clock
) -> None:
    manager = manage()
    consider(manager, store, [finding("MEDIUM")])
    [worse] = consider(manager, store, [finding("CRITICAL")])
    clock.now = NOW + 3 * HOUR
    at = NOW - SECOND + 3 * HOUR
    [back] = consider(manager, store, [finding(returned_at=at, last_seen=at)])

    assert (worse.kind, back.kind) == (AlertKind.WORSE, AlertKind.BACK)
    assert json.loads(worse.document)["previous_severity"] == "MEDIUM"
    assert json.loads(back.document)["silence_seconds"] == 3 * 3600


def test_a_pass_that_fails_tells_nothing_and_the_next_one_does(
    manage: Callable[..., AlertManager], store: Store
) -> None:
    manager = manage(only(file=AlertFile()))

    def failing(connection: Any) -> None:
        assert manager.consider([finding()], connection)
        raise RuntimeError("the findings could not be saved")

    with pytest.raises(RuntimeError):
        store.transact(failing).result(PATIENCE)

    assert list_alerts(store, limit=10) == []
    assert len(consider(manager, store, [finding()])) == 1


def test_a_restart_neither_repeats_nor_forgets(
    open_store: Callable[[], Store], clock: Clock
) -> None:
    told = []
    for _ in range(3):
        store = open_store()
        told += consider(AlertManager(store, only(), 0.7, clock=clock), store, [finding("HIGH")])
        store.close()
    store = open_store()
    told += consider(AlertManager(store, only(), 0.7, clock=clock), store, [finding("CRITICAL")])

    assert [alert.kind for alert in told] == [AlertKind.NEW, AlertKind.WORSE]


def test_the_alert_threshold_holds_from_the_next_pass_on(
    manage: Callable[..., AlertManager], store: Store
) -> None:
    manager = manage(None, 0.95)
    assert consider(manager, store, [finding()]) == []
    manager.reconfigure(only(), 0.9)

    assert len(consider(manager, store, [finding()])) == 1


def test_the_alert_cooldown_holds_from_the_next_pass_on(
    manage: Callable[..., AlertManager], store: Store, clock: Clock
) -> None:
    manager = manage(only().model_copy(update={"alert_cooldown": 7200.0}))
    consider(manager, store, [finding("HIGH")])
    clock.now = NOW + HOUR + 60 * SECOND
    returned = finding("HIGH", returned_at=clock.now, last_seen=clock.now)
    assert consider(manager, store, [returned]) == []

    manager.reconfigure(only().model_copy(update={"alert_cooldown": 1800.0}), 0.7)
    clock.now += HOUR
    again = replace(returned, returned_at=clock.now, last_seen=clock.now)
    assert [alert.kind for alert in consider(manager, store, [again])] == [AlertKind.BACK]


@pytest.mark.parametrize("enabled", [(), ("file",), ("syslog", "webhook"), tuple(CHANNELS)])
def test_each_enabled_channel_gets_one_pending_delivery(
    manage: Callable[..., AlertManager], store: Store, enabled: tuple[str, ...]
) -> None:
    on = {
        "syslog": Syslog(),
        "file": AlertFile(),
        "webhook": Webhook(enabled=True, url="http://127.0.0.1/"),
    }
    manager = manage(only(**{name: on[name] for name in enabled}))
    consider(manager, store, [finding()])

    assert states(store) == dict.fromkeys(enabled, DeliveryState.PENDING)
    assert {status.name: status.enabled for status in manager.status()} == {
        name: name in enabled for name in CHANNELS
    }


def test_the_syslog_level_keeps_lesser_alerts_from_syslog_only(
    manage: Callable[..., AlertManager], store: Store
) -> None:
    manager = manage(only(syslog=Syslog(level="CRITICAL"), file=AlertFile()))
    consider(manager, store, [finding("HIGH")])

    assert set(states(store)) == {"file"}


def test_an_alert_arrives_once_on_every_channel(
    running: Callable[..., AlertManager],
    store: Store,
    tmp_path: Path,
    unix_datagram: tuple[socket.socket, Path],
    http_receiver: Any,
) -> None:
    receiver, socket_path = unix_datagram
    path = tmp_path / "log" / "alerts.json"
    manager = running(
        only(
            syslog=Syslog(socket_path=str(socket_path)),
            file=AlertFile(path=str(path)),
            webhook=webhook(http_receiver),
        )
    )
    told = consider(manager, store, findings(3))
    eventually(lambda: all(status.delivered == 3 for status in manager.status()))

    names = sorted(alert.id for alert in told)
    assert sorted(json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()) == names
    syslog = [read_message(receiver.recv(65536)).elements[SD_ID]["id"] for _ in told]
    assert sorted(syslog) == names
    assert sorted(json.loads(http_receiver.next().body)["id"] for _ in told) == names
    assert http_receiver.requests.empty()
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(1)


def test_a_receiver_that_does_not_answer_holds_up_no_other_channel(
    running: Callable[..., AlertManager],
    store: Store,
    tmp_path: Path,
    unix_datagram: tuple[socket.socket, Path],
    http_receiver: Any,
) -> None:
    receiver, socket_path = unix_datagram
    hold = threading.Event()
    http_receiver.answer = lambda _: Held(hold)
    manager = running(
        only(
            syslog=Syslog(socket_path=str(socket_path)),
            file=AlertFile(path=str(tmp_path / "alerts.json")),
            webhook=webhook(http_receiver),
        )
    )
    consider(manager, store, [finding(id="a")])
    http_receiver.next()
    consider(manager, store, [finding(id="b")])

    for _ in range(2):
        receiver.recv(65536)
    eventually(lambda: status_of(manager, "file").delivered == 2)
    eventually(lambda: status_of(manager, "syslog").delivered == 2)
    assert (status_of(manager, "webhook").pending, hold.is_set()) == (2, False)
    hold.set()
    eventually(lambda: status_of(manager, "webhook").delivered == 2)


class Held:
    """A good answer, given when the event is set."""

    status = 200
    raw = None

    def __init__(self, hold: threading.Event) -> None:
        self.hold = hold
        self.headers: dict[str, str] = {}


def status_of(manager: AlertManager, name: str) -> ChannelStatus:
    return next(status for status in manager.status() if status.name == name)


def test_the_status_names_what_fails_and_when_it_last_went_well(
    running: Callable[..., AlertManager], store: Store, dead_port: int, http_receiver: Any
) -> None:
    url = f"http://127.0.0.1:{dead_port}/secret"
    manager = running(only(webhook=Webhook(enabled=True, url=url, retry_backoff=3600.0)))
    before = time.time_ns()
    consider(manager, store, [finding()])
    eventually(lambda: status_of(manager, "webhook").last_error != "")

    failing = status_of(manager, "webhook")
    assert failing.last_error.startswith("http://127.0.0.1: cannot connect")
    assert (failing.pending, failing.delivered, failing.last_delivery) == (1, 0, 0)

    manager.reconfigure(only(webhook=webhook(http_receiver)), 0.7)
    eventually(lambda: status_of(manager, "webhook").delivered == 1)
    well = status_of(manager, "webhook")
    assert (well.pending, well.failed, well.last_error) == (0, 0, "")
    assert before <= well.last_delivery <= time.time_ns()


def test_a_channel_that_is_switched_off_and_on_loses_nothing(
    running: Callable[..., AlertManager], store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "alerts.json"
    on = only(file=AlertFile(path=str(path)))
    manager = running(only())
    consider(manager, store, [finding(id="before")])
    manager.reconfigure(on, 0.7)
    consider(manager, store, [finding(id="on")])
    eventually(lambda: status_of(manager, "file").delivered == 1)

    [line] = path.read_text("utf-8").splitlines()
    assert json.loads(line)["finding_id"] == "on"


def test_what_is_pending_when_the_process_stops_is_delivered_by_the_next(
    open_store: Callable[[], Store], tmp_path: Path
) -> None:
    alerting = only(file=AlertFile(path=str(tmp_path / "alerts.json")))
    store = open_store()
    [told] = consider(AlertManager(store, alerting, 0.7), store, [finding()])
    store.close()

    store = open_store()
    manager = AlertManager(store, alerting, 0.7)
    manager.start()
    eventually(lambda: status_of(manager, "file").delivered == 1)
    assert manager.stop(PATIENCE)
    assert (tmp_path / "alerts.json").read_text("utf-8") == told.document + "\n"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from alert_factory import findings
from beacon_detect.config.schema import Alerting, AlertFile, Syslog
from beacon_detect.control_plane.alerts.manager import AlertManager
from beacon_detect.control_plane.storage.store import Store
store = Store.open(Path({data!r}), memory_limit_mb=128, on_commit=lambda _: None)
alerting = Alerting(syslog=Syslog(enabled=False), file=AlertFile(path={path!r}))
manager = AlertManager(store, alerting, 0.7)
store.transact(lambda connection: manager.consider(findings(50), connection)).result()
print("committed", flush=True)
manager.start()
while not os.path.exists({path!r}): pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_every_alert_is_in_the_file_exactly_once(
    open_store: Callable[[], Store], tmp_path: Path
) -> None:
    """Killed in the middle of delivering, wherever that happens to be."""
    path = tmp_path / "alerts.json"
    script = KILLED.format(
        tests=str(Path(__file__).parents[2]), data=str(tmp_path / "data"), path=str(path)
    )
    died = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "committed\n"), died.stderr

    store = open_store()
    manager = AlertManager(store, only(file=AlertFile(path=str(path))), 0.7)
    manager.start()
    eventually(lambda: status_of(manager, "file").delivered == 50)
    assert manager.stop(PATIENCE)

    written = [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()]
    assert sorted(written) == sorted(stored.alert.id for stored in list_alerts(store, limit=100))


def test_old_alerts_expire_and_undelivered_ones_are_reported(
    manage: Callable[..., AlertManager], store: Store, clock: Clock
) -> None:
    manager = manage(only(file=AlertFile()))
    consider(manager, store, [finding()])
    clock.now = NOW + 29 * 24 * HOUR
    assert manager.expire(60).alerts == 0

    clock.now = NOW + 31 * 24 * HOUR
    assert manager.expire(40 * 86_400).alerts == 0
    with capture_logs() as logged:
        expired = manager.expire(60)
    assert (expired.alerts, expired.undelivered) == (1, 1)
    assert [line["event"] for line in logged] == ["alerts expired before delivery"]


def test_a_manager_that_was_never_started_can_be_stopped(
    manage: Callable[..., AlertManager],
) -> None:
    assert manage().stop(0)


def test_many_findings_in_one_pass_are_told_in_one_go(
    manage: Callable[..., AlertManager], store: Store
) -> None:
    manager = manage(only(file=AlertFile(), syslog=Syslog()))
    many = findings(2000, "HIGH")

    assert len(consider(manager, store, many)) == 2000
    assert consider(manager, store, many) == []
    assert {status.name: status.pending for status in manager.status()} == {
        "syslog": 2000,
        "file": 2000,
        "webhook": 0,
    }
