"""Files that nobody reads: the message says what they are and how to make them readable."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest

from beacon_detect.readers import recognise
from beacon_detect.readers.strangers import UNKNOWN, told

OBJECTS = [{"ts": 1, "id": {"orig_h": "10.0.0.5"}}]


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("conn.log", "x")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("conn.log"))
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (zipped(), "an archive (zip): unpack it first"),
        (tarred(), "an archive (tar): unpack it first"),
        (b"snoop\0\0\0\0\0\0\2", "a capture of snoop: convert it first"),
        (b"GMBU\0\2", "a capture of Microsoft Network Monitor"),
        (json.dumps(OBJECTS).encode(), "a JSON array, and objects are read one a line"),
        (json.dumps(OBJECTS, indent=1).encode(), "a JSON array, and objects are read one a line"),
        (json.dumps(OBJECTS[0], indent=1).encode(), "JSON over several lines"),
        (b"\x1f\x9d\x90", "compressed with compress"),
        (b"# notes\n[link]\n", UNKNOWN),
        (b"[section]\nkey=value\n", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_what_a_file_is_is_told_by_its_beginning(head: bytes, words: str) -> None:
    assert recognise(head) is None
    assert told(head).startswith(words)
