"""The spool keeps what it was given until it is acknowledged, within its bounds, across crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from beacon_detect.data_plane.losses import Losses
from beacon_detect.data_plane.spool import (
    QUARANTINE_FILES,
    Spool,
    UlidClock,
    make_ulid,
    ulid_milliseconds,
)
from beacon_detect.errors import BeaconError, PermissionMissingError

LARGE, LONG = 1 << 30, 1e9


@contextmanager
def opened(
    folder: Path, *, max_bytes: int = LARGE, max_age: float = LONG, losses: Losses | None = None
) -> Iterator[Spool]:
    spool = Spool(folder, max_bytes=max_bytes, max_age=max_age, losses=losses or Losses())
    try:
        yield spool
    finally:
        spool.close()


def put(spool: Spool, body: bytes, records: int = 1) -> str:
    batch = spool.new_batch_id()
    spool.write(batch, records, body)
    return batch


def drain(spool: Spool) -> list[tuple[str, bytes]]:
    got = []
    while taken := spool.take_oldest():
        entry, body = taken
        got.append((entry.batch, body))
        spool.acknowledge(entry)
    return got


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "waiting").iterdir())


@given(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 80) - 1))
def test_a_ulid_carries_its_time(milliseconds: int, random: int) -> None:
    ulid = make_ulid(milliseconds, random)

    assert len(ulid) == 26
    assert ulid_milliseconds(ulid) == milliseconds


@given(
    st.tuples(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 80) - 1)),
    st.tuples(st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 80) - 1)),
)
def test_ulids_sort_by_time(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (make_ulid(*one) < make_ulid(*other)) == (one < other)


def test_ids_rise_even_if_the_clock_does_not() -> None:
    future = make_ulid((time.time_ns() // 1_000_000) + 10**9, 0)
    clock = UlidClock(future)
    made = [clock.next() for _ in range(100)]

    assert [future, *made] == sorted({future, *made})


@hypothesis_settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(bodies=st.lists(st.binary(max_size=200), max_size=6), restarts=st.booleans())
def test_everything_written_comes_out_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], restarts: bool
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    with opened(folder) as spool:
        written = [(put(spool, body), body) for body in bodies]
        if not restarts:
            assert drain(spool) == written
    with opened(folder) as spool:
        assert drain(spool) == (written if restarts else [])
    assert files(folder) == []


def test_a_batch_put_back_comes_again(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        put(spool, b"one")
        for _ in range(2):
            taken = spool.take_oldest()
            assert taken is not None
            assert taken[1] == b"one"
            spool.put_back(taken[0])
        assert spool.waiting == 1


@hypothesis_settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sizes=st.lists(st.integers(1, 100), min_size=1, max_size=12), bound=st.integers(1, 300))
def test_beyond_its_size_the_oldest_go_and_are_counted(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], bound: int
) -> None:
    losses = Losses()
    with opened(tmp_path_factory.mktemp("spool"), max_bytes=bound, losses=losses) as spool:
        written = [(put(spool, b"x" * size, records=size), b"x" * size) for size in sizes]
        kept = drain(spool)

    assert kept == written[len(written) - len(kept) :]
    total = sum(len(body) for _, body in kept)
    assert total <= bound or len(kept) == 1
    assert losses.totals().get("spool_dropped_size", 0) == sum(sizes) - total


def test_the_batch_being_sent_is_not_dropped(tmp_path: Path) -> None:
    losses = Losses()
    with opened(tmp_path, max_bytes=10, losses=losses) as spool:
        first = put(spool, b"x" * 8)
        taken = spool.take_oldest()
        assert taken is not None
        put(spool, b"y" * 8)
        put(spool, b"z" * 8)
        spool.acknowledge(taken[0])

        assert taken[0].batch == first
        assert [body for _, body in drain(spool)] == [b"z" * 8]
        assert losses.totals() == {"spool_dropped_size": 1}


def test_beyond_their_age_batches_go_and_are_counted(tmp_path: Path) -> None:
    losses = Losses()
    with opened(tmp_path, losses=losses) as spool:
        put(spool, b"old", records=5)
        time.sleep(0.02)
        spool.resize(max_bytes=LARGE, max_age=0.01)

        assert spool.waiting == 0
        assert losses.totals() == {"spool_dropped_age": 5}
        assert files(tmp_path) == []


def test_a_restart_knows_the_age_of_what_it_finds(tmp_path: Path) -> None:
    losses = Losses()
    with opened(tmp_path) as spool:
        spool.write(make_ulid(time.time_ns() // 1_000_000 - 7_200_000, 1), 3, b"two hours old")
        spool.write(make_ulid(time.time_ns() // 1_000_000 - 60_000, 1), 4, b"a minute old")
    with opened(tmp_path, max_age=3600, losses=losses) as spool:
        assert [body for _, body in drain(spool)] == [b"a minute old"]
    assert losses.totals() == {"spool_dropped_age": 3}


@pytest.mark.parametrize("damage", [b"", b"sonething", b"something longer"])
def test_a_damaged_file_is_set_aside_and_counted(tmp_path: Path, damage: bytes) -> None:
    losses = Losses()
    with opened(tmp_path, losses=losses) as spool:
        put(spool, b"something", records=7)
        put(spool, b"sound")
        (tmp_path / "waiting" / files(tmp_path)[0]).write_bytes(damage)

        assert [body for _, body in drain(spool)] == [b"sound"]
        assert spool.waiting_bytes == 0
    assert losses.totals() == {"spool_corrupt": 7}
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


def test_a_file_that_vanished_is_counted(tmp_path: Path) -> None:
    losses = Losses()
    with opened(tmp_path, losses=losses) as spool:
        put(spool, b"something", records=7)
        (tmp_path / "waiting" / files(tmp_path)[0]).unlink()

        assert drain(spool) == []
    assert losses.totals() == {"spool_corrupt": 7}


def test_drafts_and_strangers_are_not_sent(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        put(spool, b"whole")
    waiting = tmp_path / "waiting"
    (waiting / f"{make_ulid(1, 1)}-1-00000000.arrow.draft").write_bytes(b"ha")
    (waiting / "notes.txt").write_bytes(b"hello")
    with opened(tmp_path) as spool:
        assert [body for _, body in drain(spool)] == [b"whole"]
    assert files(tmp_path) == []
    assert [path.name for path in (tmp_path / "quarantine").iterdir()] == ["notes.txt"]


def test_refused_batches_are_kept_for_a_look_a_few_at_most(tmp_path: Path) -> None:
    losses = Losses()
    count = QUARANTINE_FILES + 3
    with opened(tmp_path, losses=losses) as spool:
        for number in range(count):
            put(spool, str(number).encode(), records=2)
            taken = spool.take_oldest()
            assert taken is not None
            spool.reject(taken[0])
        assert spool.waiting == 0
    kept = sorted((tmp_path / "quarantine").iterdir())
    assert [int(path.read_bytes()) for path in kept] == list(range(3, count))
    assert losses.totals() == {"batch_rejected": 2 * count}


def test_two_sensors_never_share_a_spool(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(BeaconError, match=str(os.getpid())) as caught:
        Spool(tmp_path, max_bytes=LARGE, max_age=LONG, losses=Losses())

    assert "spool_dir" in caught.value.hint
    with opened(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(PermissionMissingError, match="Not a directory"):
        Spool(tmp_path / "file" / "spool", max_bytes=LARGE, max_age=LONG, losses=Losses())


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "lock").symlink_to(target)

    with pytest.raises(PermissionMissingError, match="symbolic links"):
        Spool(tmp_path / "spool", max_bytes=LARGE, max_age=LONG, losses=Losses())
    assert target.read_text() == "content"


def test_a_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    with opened(tmp_path) as spool:
        batch = put(spool, b"one")
        with pytest.raises(OSError, match="File name too long"):
            spool.write(batch * 20, 1, b"two")

        assert len(files(tmp_path)) == 1
        assert spool.waiting == 1


WRITER = """
import sys
from pathlib import Path
from beacon_detect.data_plane.losses import Losses
from beacon_detect.data_plane.spool import Spool
spool = Spool(Path(sys.argv[1]), max_bytes=1 << 30, max_age=1e9, losses=Losses())
number = 0
while True:
    batch = spool.new_batch_id()
    spool.write(batch, 1, b"%d " % number * 20000)
    print(batch, flush=True)  # durable from here on
    number += 1
"""


@pytest.mark.parametrize("batches", [1, 3, 7])
def test_what_was_durable_survives_a_kill_at_any_point(tmp_path: Path, batches: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        durable = [child.stdout.readline().strip() for _ in range(batches)]
        time.sleep(0.003 * batches)
        child.send_signal(signal.SIGKILL)
        durable += child.stdout.read().split()
    losses = Losses()
    with opened(tmp_path, losses=losses) as spool:
        recovered = drain(spool)

    ids = [batch for batch, _ in recovered]
    # The one written when the signal came may be there too, but then it is whole.
    assert ids[: len(durable)] == durable
    assert len(ids) <= len(durable) + 1
    assert [body for _, body in recovered] == [b"%d " % n * 20000 for n in range(len(ids))]
    assert losses.totals() == {}
