"""Readers of files: captures and logs of other tools to connection records.

One format, one module, one line in :data:`READERS`; the first that recognises
the content reads the file, so the more particular formats come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.readers.argus import ArgusReader
from beacon_detect.readers.csv_file import CsvReader
from beacon_detect.readers.joy import JoyReader
from beacon_detect.readers.nfdump import NfdumpCsvReader, NfdumpJsonReader, NfdumpReader
from beacon_detect.readers.pcap import PcapReader
from beacon_detect.readers.suricata import SuricataReader
from beacon_detect.readers.zeek import ZeekReader
from beacon_detect.readers.zeek_json import ZeekJsonReader

if TYPE_CHECKING:
    from beacon_detect.readers.base import Reader

READERS: tuple[Reader, ...] = (
    PcapReader(),
    NfdumpReader(),
    ZeekReader(),
    ZeekJsonReader(),
    SuricataReader(),
    JoyReader(),
    NfdumpJsonReader(),
    NfdumpCsvReader(),
    ArgusReader(),
    CsvReader(),
)
"""Every format, most particular first."""


def recognise(head: bytes) -> Reader | None:
    """Return the reader of a file that begins with ``head``, or None when nobody knows it."""
    return next((reader for reader in READERS if reader.matches(head)), None)


def reader_named(name: str) -> Reader | None:
    """Return the reader that ``--format`` means."""
    return next((reader for reader in READERS if reader.name == name), None)
