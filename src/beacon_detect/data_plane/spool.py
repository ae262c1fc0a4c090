"""Batches on disk until the control plane has them: durable first, sent after.

One file is one batch, its content the request body itself. The name carries
what must be known without opening it, ``ULID-RECORDS-CRC32.arrow``: ULIDs sort
by time, the record count makes a drop countable, the checksum tells a damaged
file. A file appears under its name only when it is whole on disk, and leaves
only when it is acknowledged, dropped or quarantined, each counted. Records
not yet spooled when the sensor is killed are lost; spooled ones are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.data_plane.state import sync_folder
from beacon_detect.errors import BeaconError, PermissionMissingError

if TYPE_CHECKING:
    from pathlib import Path

QUARANTINE_FILES = 16
"""Refused or damaged batches kept for a look; the oldest goes first."""
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32, as in the ULID specification."""
_ULID_LENGTH = 26
_RANDOM_BITS = 80
_DRAFT = ".draft"

log = structlog.get_logger()


def make_ulid(milliseconds: int, random: int) -> str:
    """Return the ULID of a wall time (ms since the epoch) and 80 random bits."""
    number = milliseconds << _RANDOM_BITS | random
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def ulid_milliseconds(ulid: str) -> int:
    """Return the wall time in a ULID; ValueError when it is none."""
    if len(ulid) != _ULID_LENGTH:
        raise ValueError(f"not a ULID: {ulid[:40]!r}")
    number = 0
    for letter in ulid:
        number = number << 5 | _ALPHABET.index(letter)
    return number >> _RANDOM_BITS


class UlidClock:
    """Makes ULIDs that rise even when the wall clock does not."""

    def __init__(self, newest: str = "") -> None:
        self._last = ulid_milliseconds(newest) if newest else 0

    def next(self) -> str:
        """Return a new ULID, greater than all before; at most one a millisecond of its clock."""
        self._last = max(time.time_ns() // 1_000_000, self._last + 1)
        return make_ulid(self._last, secrets.randbits(_RANDOM_BITS))


@dataclass(slots=True)
class SpooledBatch:
    """One waiting batch."""

    batch: str
    """Its id, a ULID."""
    records: int
    checksum: int
    size: int
    """Bytes of the body."""
    spooled: float
    """``time.monotonic`` seconds when it was spooled (estimated for earlier runs)."""
    sending: bool = field(default=False, compare=False)
    """The sender has it in hand: not to be dropped."""

    @property
    def file_name(self) -> str:
        """Name of its file in the spool's ``waiting`` folder."""
        return f"{self.batch}-{self.records}-{self.checksum:08x}.arrow"


def _parse_name(name: str) -> tuple[str, int, int]:
    """Return (batch id, records, checksum) of a file name; ValueError when it is not ours."""
    stem = name.removesuffix(".arrow")
    batch, records, checksum = stem.split("-")
    ulid_milliseconds(batch)
    return batch, int(records), int(checksum, 16)


class Spool:
    """The folder of waiting batches, bounded by size and age; one sensor a folder.

    Parameters
    ----------
    folder
        Made when missing (mode 0700).
    max_bytes
        Beyond it the oldest batch is dropped; the newest always stays.
    max_age
        Seconds after which a batch is dropped.

    Raises
    ------
    BeaconError
        Another sensor uses the folder.
    PermissionMissingError
        The folder cannot be made or written.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age: float, losses: Losses) -> None:
        self.folder = folder
        self._losses = losses
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._guard = threading.Lock()
        self._lock_file = _lock(folder)
        self._waiting_folder = folder / "waiting"
        self._quarantine_folder = folder / "quarantine"
        self._waiting_folder.mkdir(mode=0o700, exist_ok=True)
        self._waiting = self._recover()
        self._bytes = sum(entry.size for entry in self._waiting)
        self._ulids = UlidClock(self._waiting[-1].batch if self._waiting else "")

    def close(self) -> None:
        """Give the folder free for another sensor."""
        os.close(self._lock_file)

    def _recover(self) -> list[SpooledBatch]:
        """Take over what an earlier run left; drafts were never complete and go."""
        entries = []
        now_wall, now = time.time(), time.monotonic()
        for path in sorted(self._waiting_folder.iterdir()):
            if path.name.endswith(_DRAFT):
                path.unlink()
                continue
            try:
                batch, records, checksum = _parse_name(path.name)
            except ValueError:
                log.warning("not a batch, moved to quarantine", file=str(path))
                self._quarantine(path)
                continue
            age = max(0.0, now_wall - ulid_milliseconds(batch) / 1000)
            size = path.stat().st_size
            entries.append(SpooledBatch(batch, records, checksum, size, now - age))
        return entries

    @property
    def waiting(self) -> int:
        """Batches that wait."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait."""
        return self._bytes

    def resize(self, *, max_bytes: int, max_age: float) -> None:
        """Change the bounds; they hold at once."""
        with self._guard:
            self._max_bytes, self._max_age = max_bytes, max_age
            self._drop_beyond_bounds()

    def new_batch_id(self) -> str:
        """Return an id for the next batch, greater than those of all waiting ones."""
        with self._guard:
            return self._ulids.next()

    def write(self, batch: str, records: int, body: bytes) -> SpooledBatch:
        """Make a batch durable; it waits from now on. OSError when the disk refuses it."""
        entry = SpooledBatch(batch, records, zlib.crc32(body), len(body), time.monotonic())
        path = self._waiting_folder / entry.file_name
        draft = path.with_name(path.name + _DRAFT)
        try:
            with draft.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
            sync_folder(self._waiting_folder)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        with self._guard:
            self._waiting.append(entry)
            self._bytes += entry.size
            self._drop_beyond_bounds()
        return entry

    def take_oldest(self) -> tuple[SpooledBatch, bytes] | None:
        """Return the oldest sound batch and its body, or None when nothing waits.

        It stays until :meth:`acknowledge`, :meth:`reject` or :meth:`put_back`.
        Damaged files met on the way are quarantined and counted.
        """
        while True:
            with self._guard:
                self._drop_beyond_bounds()
                if not self._waiting:
                    return None
                entry = self._waiting[0]
                entry.sending = True
            body = self._read(entry)
            if body is not None:
                return entry, body
            self._losses.add(Loss.SPOOL_CORRUPT, entry.records)
            log.error("damaged batch, moved to quarantine", batch=entry.batch)
            self._remove(entry, keep=True)

    def _read(self, entry: SpooledBatch) -> bytes | None:
        try:
            body = (self._waiting_folder / entry.file_name).read_bytes()
        except OSError as error:
            log.warning("batch unreadable", batch=entry.batch, error=str(error))
            return None
        return body if zlib.crc32(body) == entry.checksum else None

    def acknowledge(self, entry: SpooledBatch) -> None:
        """Delete a batch that the control plane has."""
        self._remove(entry, keep=False)

    def reject(self, entry: SpooledBatch) -> None:
        """Quarantine a batch that the control plane refused as invalid, and count it."""
        self._losses.add(Loss.BATCH_REJECTED, entry.records)
        self._remove(entry, keep=True)

    def put_back(self, entry: SpooledBatch) -> None:
        """Let a batch wait again that could not be sent."""
        with self._guard:
            entry.sending = False

    def _remove(self, entry: SpooledBatch, *, keep: bool) -> None:
        with self._guard:
            self._waiting.remove(entry)
            self._bytes -= entry.size
        path = self._waiting_folder / entry.file_name
        if keep:
            self._quarantine(path)
        else:
            path.unlink(missing_ok=True)

    def _quarantine(self, path: Path) -> None:
        self._quarantine_folder.mkdir(mode=0o700, exist_ok=True)
        # A batch whose file is gone (or unreadable) has been counted; there is nothing to keep.
        with contextlib.suppress(OSError):
            path.rename(self._quarantine_folder / path.name)
        for old in sorted(self._quarantine_folder.iterdir())[:-QUARANTINE_FILES]:
            old.unlink(missing_ok=True)

    def _drop_beyond_bounds(self) -> None:
        """Drop the oldest batches past the age or size bound; called with the guard held."""
        expired = time.monotonic() - self._max_age
        while (entry := self._oldest_droppable()) and entry.spooled < expired:
            self._drop(entry, Loss.SPOOL_DROPPED_AGE)
        while self._bytes > self._max_bytes and len(self._waiting) > 1:
            if (entry := self._oldest_droppable()) is None or entry is self._waiting[-1]:
                return
            self._drop(entry, Loss.SPOOL_DROPPED_SIZE)

    def _oldest_droppable(self) -> SpooledBatch | None:
        """Return the oldest batch that is not just being sent (only the oldest ever is)."""
        return next((entry for entry in self._waiting[:2] if not entry.sending), None)

    def _drop(self, entry: SpooledBatch, reason: Loss) -> None:
        self._waiting.remove(entry)
        self._bytes -= entry.size
        (self._waiting_folder / entry.file_name).unlink(missing_ok=True)
        self._losses.add(reason, entry.records)
        log.warning("spooled batch dropped", reason=reason.value, records=entry.records)


def _lock(folder: Path) -> int:
    """Take the folder for this process; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Not through a link: the sensor is root, and its process id goes into this file.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder / "lock", flags, 0o600)
    except OSError as error:
        raise PermissionMissingError(
            f"the spool folder {folder} cannot be used: {error.strerror}",
            hint="start the sensor as root, or set data_plane.spool_dir to a folder it may write",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise BeaconError(
            f"another sensor (process {owner}) uses the spool folder {folder}",
            hint="stop it, or give each sensor its own data_plane.spool_dir and sensor_name",
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return descriptor
