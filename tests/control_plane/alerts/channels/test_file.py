"""Alerts in a file: whole synced lines, rotation, and everything that happens to log files."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_factory import alert
from beacon_detect.config.schema import AlertFile
from beacon_detect.control_plane.alerts.channel import TemporaryFailureError
from beacon_detect.control_plane.alerts.channels.file import FileChannel
from beacon_detect.control_plane.alerts.message import Alert

LINE = len(alert().document.encode()) + 1


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    old = os.umask(0o022)
    yield
    os.umask(old)


def write(path: Path, *told: Alert, **settings: Any) -> None:
    channel = FileChannel(AlertFile(path=str(path), **settings))
    for one in told:
        channel.deliver(one)
    channel.close()


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mebibytes(lines: float) -> float:
    return lines * LINE / (1 << 20)


def test_each_alert_is_one_line_with_its_document(tmp_path: Path) -> None:
    told = [alert(name="größe.example"), alert("LOW", process="two\nlines")]
    write(tmp_path / "alerts.json", *told)

    lines = (tmp_path / "alerts.json").read_text("utf-8").split("\n")
    assert lines == [told[0].document, told[1].document, ""]


def test_the_directory_and_the_file_are_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "log" / "beacon-detect" / "alerts.json"
    write(path, alert())

    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_permissions_of_an_existing_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    path.touch(0o604)
    write(path, alert())

    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_full_file_is_rotated_and_the_newest_copies_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    told = [alert() for _ in range(9)]
    write(path, *told, max_size_mb=mebibytes(2.5), backup_count=2)

    names = [one.id for one in told]
    assert ids(path) == names[8:]
    assert ids(tmp_path / "alerts.json.1") == names[6:8]
    assert ids(tmp_path / "alerts.json.2") == names[4:6]
    assert sorted(names_in(tmp_path)) == ["alerts.json", "alerts.json.1", "alerts.json.2"]


def test_without_copies_a_full_file_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    told = [alert() for _ in range(5)]
    write(path, *told, max_size_mb=mebibytes(2.5), backup_count=0)

    assert ids(path) == [told[4].id]
    assert names_in(tmp_path) == ["alerts.json"]


def test_fewer_copies_than_before_delete_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    write(path, *[alert() for _ in range(6)], max_size_mb=mebibytes(1.5), backup_count=5)
    kept = ids(tmp_path / "alerts.json.1")
    write(path, alert(), max_size_mb=mebibytes(1.5), backup_count=2)

    assert sorted(names_in(tmp_path)) == ["alerts.json", "alerts.json.1", "alerts.json.2"]
    assert ids(tmp_path / "alerts.json.2") == kept


def test_files_of_others_are_not_rotated_away(tmp_path: Path) -> None:
    others = ["alerts.json.1.gz", "alerts.json.old", "alerts.json-20260921", "other.json.7"]
    for name in others:
        (tmp_path / name).touch()
    write(tmp_path / "alerts.json", *[alert() for _ in range(4)], max_size_mb=1e-6, backup_count=1)

    assert set(names_in(tmp_path)) == {"alerts.json", "alerts.json.1", *others}


def test_a_linked_file_is_rotated_where_it_lies(tmp_path: Path) -> None:
    real = tmp_path / "disk" / "real.json"
    real.parent.mkdir()
    link = tmp_path / "alerts.json"
    link.symlink_to(real)
    told = [alert() for _ in range(3)]
    write(link, *told, max_size_mb=mebibytes(2.5), backup_count=1)

    assert link.is_symlink()
    assert ids(real) == [told[2].id]
    assert ids(tmp_path / "disk" / "real.json.1") == [told[0].id, told[1].id]


@settings(deadline=None, max_examples=20)  # each line is synced to a shared disk
@given(st.integers(1, 16), st.floats(0.1, 4), st.integers(0, 4))
def test_rotation_keeps_the_newest_lines_in_order(count: int, lines: float, copies: int) -> None:
    told = [alert() for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alerts.json"
        write(path, *told, max_size_mb=mebibytes(lines), backup_count=copies)

        files = [path.with_name(f"alerts.json.{n}") for n in range(copies, 0, -1)] + [path]
        kept = [name for file in files if file.exists() for name in ids(file)]
        assert kept == [one.id for one in told][-len(kept) :]
        assert all(
            file.stat().st_size <= max(lines * LINE, LINE) for file in files if file.exists()
        )
        assert len(kept) >= min(count, copies + 1)


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    first, second = alert(), alert()
    channel = FileChannel(AlertFile(path=str(path)))
    channel.deliver(first)
    path.rename(tmp_path / "alerts.json-20260921")
    channel.deliver(second)

    assert ids(tmp_path / "alerts.json-20260921") == [first.id]
    assert ids(path) == [second.id]


def test_a_file_that_was_truncated_in_place_has_no_hole(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    channel = FileChannel(AlertFile(path=str(path)))
    channel.deliver(alert())
    os.truncate(path, 0)
    told = alert()
    channel.deliver(told)

    assert ids(path) == [told.id]


def test_an_alert_that_is_already_the_last_line_is_not_written_twice(tmp_path: Path) -> None:
    """The process died after writing it and before committing that it did."""
    path = tmp_path / "alerts.json"
    told = [alert(), alert()]
    write(path, *told)
    write(path, told[1], max_size_mb=mebibytes(2))

    assert ids(path) == [told[0].id, told[1].id]


def test_a_line_that_a_crash_left_half_written_is_closed_off(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    told = alert()
    path.write_bytes(b'{"half": ')
    write(path, told)

    assert path.read_bytes() == b'{"half": \n' + told.document.encode() + b"\n"


def test_a_full_disk_is_a_failure_and_leaves_no_half_line(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the disk: the write stops short in the middle of a line."""
    path = tmp_path / "alerts.json"
    told = [alert(), alert()]
    write(path, told[0])
    script = f"""
import resource, signal, sys
from beacon_detect.config.schema import AlertFile
from beacon_detect.control_plane.alerts.channel import TemporaryFailureError
from beacon_detect.control_plane.alerts.channels.file import FileChannel
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from alert_factory import alert
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LINE + 100},) * 2)
try:
    FileChannel(AlertFile(path={str(path)!r})).deliver(alert())
except TemporaryFailureError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == f"cannot write {path}: File too large"
    assert ids(path) == [told[0].id]


def test_a_folder_that_is_a_file_is_a_failure_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "log").touch()

    with pytest.raises(TemporaryFailureError, match=r"cannot write .*/log/alerts.json: "):
        write(tmp_path / "log" / "alerts.json", alert())


def test_a_path_that_is_a_folder_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(TemporaryFailureError, match="Is a directory"):
        write(tmp_path, alert())


def test_a_pipe_without_a_reader_is_a_failure_not_a_hang(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(TemporaryFailureError, match="No such device or address"):
        write(path, alert())


def test_a_pipe_with_a_reader_gets_the_line(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    told = alert()
    write(path, told, max_size_mb=1e-6)
    thread = threading.Thread(target=lambda: read.append(os.read(reader, 65536)))
    thread.start()
    thread.join()
    os.close(reader)

    assert read == [told.document.encode() + b"\n"]
