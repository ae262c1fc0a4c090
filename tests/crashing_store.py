"""A process that is killed on purpose: writes batches, or dies at a named step of an upkeep.

Run by the storage tests as ``python crashing_store.py DATA_DIR write|STEP``; not a test itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from beacon_detect.control_plane.storage import maintenance, segments
from beacon_detect.control_plane.storage.segments import SegmentFiles
from beacon_detect.control_plane.storage.store import Store
from beacon_detect.records import SECOND
from records_factory import BASE_TIME, make_header, make_records

RECORDS = 211
"""Records of each batch: prime, so that a part of one cannot look like whole ones."""


def batch(number: int) -> tuple[Any, Any]:
    """Return batch ``number``: its records carry the number as their process id."""
    table = make_records(RECORDS, pid=number, dst=f"203.0.113.{number % 50}", interval=1.0)
    return make_header("crashing", f"{number:06d}"), table


def write(store: Store) -> None:
    """Append batches for ever, several in flight; print the number of each once acknowledged."""
    lock = threading.Lock()
    in_flight = threading.Semaphore(8)

    def acknowledged(number: int) -> None:
        in_flight.release()
        with lock:
            print(number, flush=True)

    for number in range(1, 1_000_000):
        in_flight.acquire()
        store.append(*batch(number)).add_done_callback(
            lambda future, number=number: future.exception() or acknowledged(number)
        )


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def dying_after(function: Any) -> Any:
    def call(*arguments: Any) -> Any:
        function(*arguments)
        die()

    return call


def arm(step: str) -> None:
    """Make the process die at a step of the upkeep."""
    if step == "file written, not named":
        segments._make_durable = die
    elif step == "file named, not listed":
        segments._make_durable = dying_after(segments._make_durable)
    elif step == "listed, not committed":
        maintenance.segments.register = dying_after(segments.register)
    elif step == "committed, old file not removed":
        SegmentFiles.unlisted = lambda _self, names: die() if list(names) else None
    else:
        raise SystemExit(f"no step {step!r}")


def main(folder: Path, task: str) -> None:
    store = Store.open(folder, memory_limit_mb=256, on_commit=lambda _batches: None)
    if task == "write":
        write(store)
    for number in range(5):
        store.append(*batch(number)).result()
    store.maintain(time.time_ns() + 3600 * SECOND, BASE_TIME)
    late_header, late = make_header("crashing", "late"), make_records(RECORDS, pid=5, interval=1.0)
    store.append(late_header, late).result()
    arm(task)
    store.maintain(time.time_ns() + 3600 * SECOND, BASE_TIME)
    raise SystemExit("still alive")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
