"""The upkeep rolls what is closed and quiet, and only that."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from beacon_detect.control_plane.storage import maintenance, segments
from beacon_detect.control_plane.storage.maintenance import QUIET_NS, Maintained
from beacon_detect.records import SECOND
from patience import PATIENCE
from records_factory import make_header, make_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from beacon_detect.control_plane.storage.store import Store

HOUR = 3600 * SECOND
LONG = 10**18


def later_today() -> int:
    """Return a time that no record of a test arrives at, however long the test takes."""
    return time.time_ns() + 5 * HOUR


def last_hour(now: int) -> int:
    """Return a time in the middle of the hour before ``now``'s."""
    return (now // HOUR) * HOUR - HOUR // 2


def test_an_hour_is_rolled_once_it_is_over_and_quiet(store: Store) -> None:
    now = time.time_ns()
    store.append(make_header(), make_records(time=[last_hour(now)])).result()

    assert store.maintain(now, LONG).rolled_hours == 0
    later = (now // HOUR + 2) * HOUR + QUIET_NS
    done = store.maintain(later, LONG)
    assert (done.rolled_hours, done.rolled_records) == (1, 1)


def test_the_running_hour_and_the_future_are_not_rolled(store: Store) -> None:
    now = later_today()
    store.append(make_header(), make_records(time=[now, now + 3 * HOUR])).result()
    start_of_next = (now // HOUR + 1) * HOUR

    assert store.maintain(start_of_next + QUIET_NS - 1, LONG).rolled_hours == 0
    assert store.maintain(start_of_next + QUIET_NS, LONG).rolled_hours == 1
    assert store.statistics().hot_records == 1


def test_after_a_restart_old_hours_count_as_quiet(open_store: Callable[..., Store]) -> None:
    store = open_store()
    now = time.time_ns()
    store.append(make_header(), make_records(time=[now - 5 * HOUR])).result()
    assert store.maintain(now, LONG).rolled_hours == 0
    store.close()

    assert open_store().maintain(now, LONG).rolled_hours == 1


def test_an_upkeep_without_work_does_nothing(store: Store) -> None:
    assert store.maintain(time.time_ns(), LONG) == Maintained()


def test_batches_come_in_while_an_hour_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(make_header(), make_records(5, interval=1.0)).result()
    writing, go_on = threading.Event(), threading.Event()
    write = segments.write

    def slow_write(*arguments: object) -> object:
        segment = write(*arguments)  # type: ignore[arg-type]
        writing.set()
        assert go_on.wait(PATIENCE)
        return segment

    monkeypatch.setattr(maintenance.segments, "write", slow_write)
    upkeep = threading.Thread(target=store.maintain, args=(time.time_ns() + HOUR, LONG))
    upkeep.start()
    assert writing.wait(PATIENCE)
    # Of the very hour that is being rolled: they must not be deleted with its rows.
    assert store.append(make_header(), make_records(4, interval=1.0)).result().records == 4
    go_on.set()
    upkeep.join()

    assert store.statistics().hot_records == 4
    assert store.statistics().records == 9


@pytest.mark.parametrize("step", ["_make_durable", "register"])
def test_a_roll_that_fails_leaves_no_file_and_is_done_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError("on purpose")

    store.append(make_header(), make_records(5, interval=1.0)).result()
    with monkeypatch.context() as patch:
        patch.setattr(maintenance.segments, step, fail)
        with pytest.raises(OSError, match="on purpose"):
            store.maintain(time.time_ns() + HOUR, LONG)

    assert list(store._files.folder.iterdir()) == []
    assert store.statistics().records == 5
    assert store.maintain(time.time_ns() + HOUR, LONG).rolled_records == 5
