"""What a sensor remembers across restarts: the anchor of its series clock, one per boot.

Inter-arrival times come from a clock that never steps: boot time plus a
constant. The constant is fixed at the first start within a boot and kept in
the spool folder, so that a restarted sensor continues the same clock. With
the folder deleted, one interval of each pair differs by the wall clock's
correction since boot.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import structlog

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ANCHOR_FILE = "series-clock.json"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SeriesClock:
    """The clock of inter-arrival times: boot time plus ``anchor`` nanoseconds, within one boot."""

    boot_id: str
    anchor: int

    @property
    def boot_word(self) -> int:
        """The boot id as 64 bits, for connection ids that must differ between boots."""
        return int(self.boot_id.replace("-", "")[:16], 16)


def read_boot_id() -> str:
    """Return the id of the running boot."""
    return BOOT_ID.read_text("ascii").strip()


def series_clock(folder: Path, boot_id: str, offset: int) -> SeriesClock:
    """Return this boot's series clock, anchored at ``offset`` (wall minus boot ns) when new.

    Parameters
    ----------
    folder
        Where the anchor is kept; must exist and be writable.
    """
    path = folder / ANCHOR_FILE
    if (kept := _read_anchor(path, boot_id)) is not None:
        return SeriesClock(boot_id, kept)
    write_durably(path, json.dumps({"boot_id": boot_id, "anchor": offset}).encode())
    return SeriesClock(boot_id, offset)


def _read_anchor(path: Path, boot_id: str) -> int | None:
    try:
        kept = json.loads(path.read_bytes())
        anchor = int(kept["anchor"])
        return anchor if kept["boot_id"] == boot_id else None
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        log.warning("series clock file unreadable, anchored anew", file=str(path), error=str(error))
        return None


def write_durably(path: Path, content: bytes) -> None:
    """Write ``path`` so that after a crash it holds the old or the new content, whole."""
    draft = path.with_name(path.name + ".tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
