"""What a file is that no reader knows, and what makes it readable: archives, arrays, other tools' captures.

A hunter who gives one of these gave the right thing in the wrong wrapping, so
the message says how to take it off. Limit: told by the first bytes, for messages only.
"""

from __future__ import annotations

from typing import Final

from beacon_detect.readers.lines import first_lines

UNKNOWN: Final = "in no format known here (--format NAME forces one)"
_ARCHIVE: Final = "an archive (%s): unpack it first"
_CAPTURE: Final = "a capture of %s: convert it first, for example with editcap"
_STARTS: Final = {
    b"PK\x03\x04": _ARCHIVE % "zip",
    b"7z\xbc\xaf\x27\x1c": _ARCHIVE % "7z",
    b"Rar!\x1a\x07": _ARCHIVE % "rar",
    b"\x04\x22\x4d\x18": "compressed with lz4, which is not read: lz4 -dc FILE | beacon-detect analyze -",
    b"\x1f\x9d": "compressed with compress, which is not read: zcat FILE | beacon-detect analyze -",
    b"snoop\0\0\0": _CAPTURE % "snoop",
    b"GMBU": _CAPTURE % "Microsoft Network Monitor",
    b"RTSS": _CAPTURE % "Microsoft Network Monitor",
    b"XCP\0": _CAPTURE % "NetXRay",
    b"TRSNIFF data": _CAPTURE % "Sniffer",
    b"PAR1": "a Parquet file: write it as CSV first",
    b"SQLite format 3\0": "an SQLite database: write its table as CSV first",
    b"ElfFile\0": "a Windows event log: write its connections as CSV first",
}
_TAR: Final = slice(257, 262)


def told(head: bytes) -> str:
    """Return in a few words what a file is that begins with ``head`` and that no reader knows."""
    for start, words in _STARTS.items():
        if head.startswith(start):
            return words
    if head[_TAR] == b"ustar":
        return _ARCHIVE % "tar"
    lines = first_lines(head, 2)
    if lines and lines[0].startswith(b"[") and lines[0].lstrip(b"[ \t")[:1] in {b"", b"{"}:
        return "a JSON array, and objects are read one a line: jq -c '.[]' FILE | beacon-detect analyze -"  # fmt: skip
    if lines and lines[0] == b"{":
        return "JSON over several lines, and objects are read one a line: jq -c . FILE | beacon-detect analyze -"  # fmt: skip
    return UNKNOWN
