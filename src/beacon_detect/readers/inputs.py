"""Paths, globs and standard input as streams of decompressed bytes with a progress count.

Compression and UTF-16 are recognised by the first bytes, never by the file's
name. A damaged or cut compressed file gives what could be decompressed and one
counted problem. Limit: archives with several members (tar, zip) are not opened.
"""

from __future__ import annotations

import bz2
import codecs
import glob
import gzip
import lzma
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

from beacon_detect.errors import DataError, PermissionMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from beacon_detect.readers.base import Problems

MAGIC_BYTES = 6
HEAD_BYTES = 65_536
"""What a reader sees to recognise its format."""
_ZSTANDARD_BYTES = 1 << 17
"""Asked for at once: what Arrow has decompressed of a request is lost when the file ends within it."""
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError)


class _Stream(Protocol):
    def read1(self, size: int = ..., /) -> bytes: ...

    def close(self) -> None: ...


class _Counted:
    """A binary file that counts what was taken from it, for the progress bar."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._head = b""
        self.taken = 0

    def magic(self) -> bytes:
        """Return the first bytes, which stay to be read."""
        self._head = self._raw.read(MAGIC_BYTES)
        self.taken = len(self._head)
        return self._head

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head[:size], self._head[size:]
            return head
        data = self._raw.read(size)
        self.taken += len(data)
        return data

    read1 = read

    def close(self) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    # Arrow's wrapper asks for these.
    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return self._raw.closed


class _Zstandard:
    """zstd by Arrow's decompressor, which Python's library has from 3.14 on only."""

    def __init__(self, raw: _Counted) -> None:
        import pyarrow as pa

        self._file = pa.PythonFile(raw, mode="r")
        self._stream = pa.CompressedInputStream(self._file, "zstd")

    def read1(self, size: int = -1, /) -> bytes:
        return bytes(self._stream.read(min(size, _ZSTANDARD_BYTES)))

    def close(self) -> None:
        self._stream.close()


class _Utf16:
    """Text of two bytes a letter, as Windows writes it, in UTF-8."""

    def __init__(self, raw: _Counted) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder("utf-16")("replace")

    def read1(self, size: int = -1, /) -> bytes:
        text = ""
        while not text:
            # Two bytes become three at most.
            data = self._raw.read(max(size // 2, 2))
            text = self._decoder.decode(data, final=not data)
            if not data:
                break
        return text.encode("utf-8", "replace")

    def close(self) -> None:
        pass


def _decompressor(magic: bytes, raw: _Counted) -> _Stream | None:
    stream: Any = raw
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream, mode="rb")
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _Zstandard(raw)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(stream)
    if magic.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _Utf16(raw)
    return None


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read, or standard input (``path`` is None)."""

    path: Path | None
    size: int
    """Bytes on disk; 0 where unknown (standard input, pipes)."""

    @property
    def label(self) -> str:
        """Name for messages."""
        return str(self.path) if self.path is not None else "standard input"


class Source:
    """The decompressed bytes of one input: a head to recognise it, then the whole from the start."""

    def __init__(self, item: Input, problems: Problems) -> None:
        self.path = item.path
        self.label = item.label
        self.size = item.size
        self._problems = problems
        try:
            raw = sys.stdin.buffer if item.path is None else item.path.open("rb")
        except (PermissionError, IsADirectoryError) as error:
            raise PermissionMissingError(f"{item.label}: not readable by this user") from error
        except OSError as error:
            raise DataError(f"{item.label}: {error.strerror or error}") from error
        self._counted = _Counted(raw)
        decompressor = _decompressor(self._counted.magic(), self._counted)
        self.compressed = decompressor is not None
        self._stream: _Stream = self._counted if decompressor is None else decompressor
        self._ended = False
        self.head = self._collect(HEAD_BYTES)
        self._pending = self.head

    @property
    def taken(self) -> int:
        """Bytes of the file on disk consumed so far."""
        return self._counted.taken

    def _read_some(self, size: int) -> bytes:
        if self._ended:
            return b""
        try:
            data = self._stream.read1(size)
        except _DAMAGED as error:
            self._problems.note(f"the file is damaged or cut ({error})", self.label)
            data = b""
        self._ended = not data
        return data

    def _collect(self, size: int) -> bytes:
        parts: list[bytes] = []
        missing = size
        while missing > 0 and (data := self._read_some(missing)):
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes; fewer only at the end."""
        ready, self._pending = self._pending[:size], self._pending[size:]
        return ready + self._collect(size - len(ready)) if len(ready) < size else ready

    def unread(self, data: bytes) -> None:
        """Put back bytes that were read too far."""
        self._pending = data + self._pending

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._counted.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def expand(paths: Iterable[str]) -> list[Input]:
    """Return the files behind paths, folders (recursive), globs and ``-``, each file once.

    Raises
    ------
    DataError
        A path does not exist, or a pattern or folder holds no file.
    """
    found: dict[tuple[int, int], Input] = {}
    stdin: list[Input] = []
    for text in paths:
        if text == "-":
            stdin = [Input(None, 0)]
            continue
        for path in _files(text):
            status = path.stat()
            found.setdefault((status.st_dev, status.st_ino), Input(path, status.st_size))
    return [*stdin, *found.values()]


def _files(text: str) -> list[Path]:
    if not text:
        raise DataError("a path is empty", hint="is a variable of the command not set?")
    path = Path(text)
    if path.is_dir():
        files = sorted(_inside(path))
        if not files:
            raise DataError(f"{text}: the folder holds no file")
        return files
    if path.exists():
        return [path]
    # Path.glob wants the fixed part of a pattern apart; users write one string.
    matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207
    files = [item for item in map(Path, matches) if item.is_file()]
    if not files:
        raise DataError(f"{text}: no such file", hint="check the path; patterns need a match")
    return files


def _inside(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and those below it, and folders that cannot be looked into.

    Links to folders are followed (Zeek's ``current`` is one), each folder once.
    """
    seen: set[tuple[int, int]] = set()
    closed: list[Path] = []
    for name, folders, files in os.walk(
        folder, followlinks=True, onerror=lambda error: closed.append(Path(error.filename))
    ):
        try:
            status = Path(name).stat()
        except OSError:  # removed while we look
            continue
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        yield from (path for path in (Path(name, file) for file in files) if path.is_file())
    yield from closed
