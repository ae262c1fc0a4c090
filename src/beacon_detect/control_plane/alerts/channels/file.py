"""Alerts to a file: one JSON object a line, synced to disk, rotated by size.

The file is opened anew for each alert, so logrotate and friends may move or
truncate it at any time. A line that a crash left half-written is closed off,
and an alert that is already the last line is not written twice. Limit: one
writer; two control planes need two files.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from beacon_detect.control_plane.alerts.channel import (
    ChannelSpec,
    RetryPolicy,
    TemporaryFailureError,
)

if TYPE_CHECKING:
    from beacon_detect.config.schema import AlertFile
    from beacon_detect.control_plane.alerts.message import Alert

_DIRECTORY_MODE = 0o750
_FILE_MODE = 0o640
_RETRY_FIRST = 1.0
_RETRY_LONGEST = 60.0
_MIB = 1 << 20


class FileChannel:
    """Appends each alert to one file."""

    def __init__(self, settings: AlertFile) -> None:
        self._path = Path(settings.path)
        self._max_size = int(settings.max_size_mb * _MIB)
        self._kept = settings.backup_count

    def deliver(self, alert: Alert) -> None:
        """Append the alert and sync it to disk, rotating the file before when it is full."""
        line = alert.document.encode() + b"\n"
        try:
            self._path.parent.mkdir(_DIRECTORY_MODE, parents=True, exist_ok=True)
            size, end = _end_of(self._path, len(line))
            if end == line:
                # Written before a crash that came between this and the store's commit.
                _sync(self._path, os.O_RDONLY)
                return
            if size and size + len(line) > self._max_size:
                self._rotate()
                end = b""
            _append(self._path, line if end[-1:] in b"\n" else b"\n" + line)
        except OSError as error:
            text = f"cannot write {self._path}: {error.strerror or error}"
            raise TemporaryFailureError(text) from error

    def close(self) -> None:
        """Nothing is kept between alerts."""

    def _rotate(self) -> None:
        """Make the file copy 1, copy 1 copy 2 and so on; delete those beyond the number kept."""
        path = self._path.resolve()
        for number, copy in sorted(_copies(path), reverse=True):
            if number >= max(self._kept, 1):
                copy.unlink()
            else:
                copy.rename(_copy(path, number + 1))
        if self._kept:
            path.rename(_copy(path, 1))
        else:
            path.unlink()
        _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def _copy(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _copies(path: Path) -> list[tuple[int, Path]]:
    """Return the rotated copies with their numbers (never logrotate's compressed ones)."""
    pattern = re.compile(re.escape(path.name) + r"\.([1-9][0-9]{0,3})")
    matches = ((pattern.fullmatch(copy.name), copy) for copy in path.parent.iterdir())
    return [(int(match.group(1)), copy) for match, copy in matches if match]


def _end_of(path: Path, length: int) -> tuple[int, bytes]:
    """Return the size and the last ``length`` octets of a file; (0, nothing) for a pipe or none."""
    if not path.is_file():
        return 0, b""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - length, 0))
        return size, file.read()


def _append(path: Path, line: bytes) -> None:
    """Write ``line`` whole and synced, or leave the file as it was."""
    # Non-blocking so that a pipe without a reader is an error, not a hung channel.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(path, flags, _FILE_MODE)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            _write_all(descriptor, line)
            return
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, status.st_size)
            raise
        if status.st_size == 0:
            _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync(path: Path, flags: int) -> None:
    """Make a file, or the names in a directory, durable."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _policy(_settings: AlertFile) -> RetryPolicy:
    return RetryPolicy(first=_RETRY_FIRST, longest=_RETRY_LONGEST, limit=None)


SPEC = ChannelSpec(name="file", open=FileChannel, policy=_policy)
