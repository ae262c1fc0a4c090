"""Alerts, deliveries and memories in the real store: what is written is what is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alert_factory import HOUR, NOW, alert, finding
from beacon_detect.control_plane.alerts.decision import Memory
from beacon_detect.control_plane.alerts.message import Alert, AlertKind, make_alert
from beacon_detect.control_plane.storage.alert_store import (
    RETENTION,
    Attempt,
    ChannelTotals,
    Delivery,
    DeliveryState,
    channel_totals,
    count_alerts,
    expire,
    insert_alerts,
    list_alerts,
    next_pending,
    read_memories,
    record_attempt,
    retention_of,
    save_memories,
)
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.records import SECOND
from patience import PATIENCE

DAY = 24 * HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path, memory_limit_mb=128, on_commit=lambda _: None)
    yield opened
    opened.close()


def do(store: Store, work: Callable[[Any], Any]) -> Any:
    return store.transact(work).result(PATIENCE)


def insert(store: Store, *alerts: Alert, channels: tuple[str, ...] = ("file", "syslog")) -> None:
    do(store, lambda connection: insert_alerts(connection, alerts, lambda _: channels))


def attempt(
    store: Store, told: Alert, channel: str, state: DeliveryState, error: str = "", time: int = NOW
) -> None:
    end = Attempt(alert_id=told.id, channel=channel, state=state, error=error, time=time)
    do(store, lambda connection: record_attempt(connection, end))


def listed(store: Store, **how: Any) -> list[str]:
    return [stored.alert.id for stored in list_alerts(store, **{"limit": 1000} | how)]


def test_an_alert_is_read_as_it_was_written_with_its_deliveries(store: Store) -> None:
    told = alert(name="größe.example")
    insert(store, told)
    attempt(store, told, "file", DeliveryState.PENDING, "disk full")

    [stored] = list_alerts(store, limit=10)
    assert stored.alert == told
    assert stored.deliveries == (
        Delivery("file", DeliveryState.PENDING, 1, "disk full"),
        Delivery("syslog", DeliveryState.PENDING, 0, ""),
    )


def test_a_list_shows_what_the_api_promises(store: Store) -> None:
    told = alert()
    insert(store, told)
    attempt(store, told, "file", DeliveryState.DELIVERED)
    [stored] = list_alerts(store, limit=1)

    shown = json.loads(json.dumps(stored.as_json()))
    assert shown["id"] == told.id
    assert shown["time"] == "2026-09-21T14:13:20.000000Z"
    assert shown["kind"] == "new"
    assert shown["finding_id"] == "00000000000000aa"
    assert shown["src_ip"] == "10.0.0.100"
    assert shown["deliveries"] == [
        {"channel": "file", "state": "delivered", "attempts": 1, "last_error": None},
        {"channel": "syslog", "state": "pending", "attempts": 0, "last_error": None},
    ]


def test_the_newest_alerts_come_first_up_to_the_limit(store: Store) -> None:
    told = [alert(now=NOW + step * SECOND) for step in range(7)]
    insert(store, *told[3:])
    insert(store, *told[:3])

    assert listed(store, limit=4) == [one.id for one in reversed(told)][:4]
    assert listed(store, limit=0) == []


def test_alerts_are_filtered_by_severity_and_time(store: Store) -> None:
    told = [alert("HIGH", NOW), alert("LOW", NOW + SECOND), alert("HIGH", NOW + 2 * SECOND)]
    insert(store, *told)

    assert listed(store, severities=["HIGH"]) == [told[2].id, told[0].id]
    assert len(listed(store, severities=["HIGH", "LOW"])) == 3
    assert listed(store, since=NOW + SECOND) == [told[2].id, told[1].id]
    assert listed(store, severities=["HIGH"], since=NOW + SECOND) == [told[2].id]


def test_hidden_alerts_do_not_count_towards_the_limit(store: Store) -> None:
    told = [
        alert(now=NOW + step * SECOND, dst=f"203.0.113.{step % 2}", dst_port=443 + step % 2)
        for step in range(40)
    ]
    insert(store, *told)

    def hidden(src: list[str], dst: list[str], dst_port: list[int]) -> list[bool]:
        assert set(src) == {"10.0.0.100"}
        return [(*at,) == ("203.0.113.1", 444) for at in zip(dst, dst_port, strict=True)]

    assert listed(store, limit=15, hidden=hidden) == [one.id for one in reversed(told[::2])][:15]
    assert len(listed(store, limit=1000, hidden=hidden)) == 20
    assert listed(store, limit=5, hidden=lambda src, *_: [True] * len(src)) == []


def test_pending_deliveries_come_oldest_first(store: Store) -> None:
    told = [alert(now=NOW + step * SECOND) for step in range(3)]
    insert(store, *reversed(told))
    attempt(store, told[0], "syslog", DeliveryState.PENDING, "dead")

    pending = next_pending(store, "syslog", in_order=True, limit=2)
    assert [(one.alert, one.attempts) for one in pending] == [(told[0], 1), (told[1], 0)]


def test_out_of_order_those_tried_less_often_pass(store: Store) -> None:
    told = [alert(now=NOW + step * SECOND) for step in range(3)]
    insert(store, *told, channels=("webhook",))
    attempt(store, told[0], "webhook", DeliveryState.PENDING, "HTTP 500")

    pending = next_pending(store, "webhook", in_order=False, limit=9)
    assert [(one.alert, one.attempts) for one in pending] == [
        (told[1], 0),
        (told[2], 0),
        (told[0], 1),
    ]


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.FAILED])
def test_what_is_over_is_not_pending_on_its_channel_only(
    store: Store, state: DeliveryState
) -> None:
    told = alert()
    insert(store, told)
    attempt(store, told, "file", state)

    assert next_pending(store, "file", in_order=True, limit=9) == []
    assert len(next_pending(store, "syslog", in_order=True, limit=9)) == 1


def test_the_end_of_a_delivery_is_written_once(store: Store) -> None:
    told = alert()
    insert(store, told, channels=("file",))
    attempt(store, told, "file", DeliveryState.DELIVERED)
    attempt(store, told, "file", DeliveryState.FAILED, "late")

    [stored] = list_alerts(store, limit=1)
    assert stored.deliveries == (Delivery("file", DeliveryState.DELIVERED, 1, ""),)


def test_totals_count_each_state_of_each_channel(store: Store) -> None:
    told = [alert() for _ in range(4)]
    insert(store, *told)
    attempt(store, told[0], "file", DeliveryState.DELIVERED, time=NOW + 1)
    attempt(store, told[1], "file", DeliveryState.FAILED, "HTTP 404", time=NOW + 2)
    attempt(store, told[2], "file", DeliveryState.PENDING, "HTTP 503", time=NOW + 3)

    assert count_alerts(store) == 4
    assert channel_totals(store) == {
        "file": ChannelTotals(
            delivered=1, pending=2, failed=1, last_error="HTTP 503", last_delivery=NOW + 1
        ),
        "syslog": ChannelTotals(pending=4),
    }


def test_the_last_error_is_gone_after_a_delivery(store: Store) -> None:
    told = [alert(), alert()]
    insert(store, *told, channels=("file",))
    attempt(store, told[0], "file", DeliveryState.FAILED, "HTTP 404", time=NOW + 1)
    attempt(store, told[1], "file", DeliveryState.DELIVERED, time=NOW + 2)

    assert channel_totals(store)["file"].last_error == ""


def memory(**changes: Any) -> Memory:
    values = {
        "severity": "HIGH", "told_at": NOW, "last_seen": NOW - 1, "detected_at": NOW - 2,
        "returned_at": 0, "silence": 0,
    }  # fmt: skip
    return Memory(**values | changes)


def test_memories_are_read_as_they_were_saved_and_replaced(store: Store) -> None:
    first = {"a": memory(), "b": memory(severity="LOW", silence=5)}
    do(store, lambda connection: save_memories(connection, first))
    do(store, lambda connection: save_memories(connection, {"b": memory(severity="CRITICAL")}))

    kept = do(store, lambda connection: read_memories(connection, ["a", "b", "c"]))
    assert kept == {"a": memory(), "b": memory(severity="CRITICAL")}
    assert do(store, lambda connection: read_memories(connection, [])) == {}


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    def half(connection: Any) -> None:
        insert_alerts(connection, [alert()], lambda _: ["file"])
        save_memories(connection, {"a": memory()})
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        do(store, half)

    assert count_alerts(store) == 0
    assert next_pending(store, "file", in_order=True, limit=9) == []
    assert do(store, lambda connection: read_memories(connection, ["a"])) == {}


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    told = make_alert(finding(), AlertKind.BACK, NOW, silence=60.0)
    for start in range(2):
        store = Store.open(tmp_path, memory_limit_mb=128, on_commit=lambda _: None)
        if start == 0:
            insert(store, told)
            do(store, lambda connection: save_memories(connection, {"a": memory()}))
        kept = list_alerts(store, limit=10)
        memories = do(store, lambda connection: read_memories(connection, ["a"]))
        store.close()

        assert [stored.alert for stored in kept] == [told]
        assert memories == {"a": memory()}


def test_alerts_are_kept_as_long_as_records_and_a_month_at_least() -> None:
    assert retention_of(60) == RETENTION * SECOND == 30 * DAY
    assert retention_of(90 * 86_400) == 90 * DAY


def test_what_is_too_old_is_deleted_and_undelivered_ones_are_counted(store: Store) -> None:
    old, new = alert(now=NOW - 31 * DAY), alert(now=NOW)
    insert(store, old, new)
    attempt(store, old, "file", DeliveryState.DELIVERED)
    ancient = NOW - 40 * DAY
    memories = {
        "forgotten": memory(told_at=ancient, last_seen=ancient),
        "still seen": memory(told_at=ancient, last_seen=NOW),
        "old records": memory(told_at=NOW, last_seen=ancient),
    }
    do(store, lambda connection: save_memories(connection, memories))

    expired = do(store, lambda connection: expire(connection, NOW - 30 * DAY))

    assert (expired.alerts, expired.undelivered) == (1, 1)
    assert listed(store) == [new.id]
    assert channel_totals(store) == {
        "file": ChannelTotals(pending=1),
        "syslog": ChannelTotals(pending=1),
    }
    kept = do(store, lambda connection: read_memories(connection, list(memories)))
    assert set(kept) == {"still seen", "old records"}


def test_thousands_of_alerts_are_one_statement_each_table(store: Store) -> None:
    told = [replace(alert(), id=f"{number:06}") for number in range(5000)]
    insert(store, *told)

    assert count_alerts(store) == 5000
    assert channel_totals(store)["file"].pending == 5000
