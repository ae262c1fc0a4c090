"""Inputs: paths and compression, told by content."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from beacon_detect.errors import DataError, PermissionMissingError
from beacon_detect.readers.base import Problems
from beacon_detect.readers.inputs import Input, Source, expand

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = b"".join(b"line %d of a log that compresses\n" % i for i in range(20_011))


def zstandard(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


def read_all(path: Path, problems: Problems) -> bytes:
    with Source(expand([str(path)])[0], problems) as source:
        parts = []
        while part := source.read(10_000):
            parts.append(part)
        assert source.taken == path.stat().st_size
        return b"".join(parts)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_the_content_is_the_same_however_it_is_compressed(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(compress(CONTENT))
    problems = Problems()

    assert read_all(path, problems) == CONTENT
    assert problems.total == 0


def test_gzip_members_that_were_joined_are_all_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))

    assert read_all(path, Problems()) == b"one\ntwo\n"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard])
def test_a_cut_compressed_file_gives_its_beginning_and_one_problem(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    whole = compress(CONTENT)
    path = tmp_path / "log"
    path.write_bytes(whole[: len(whole) // 2])
    problems = Problems()
    with Source(expand([str(path)])[0], problems) as source:
        data = source.read(10 * len(CONTENT))

    assert CONTENT.startswith(data)
    assert problems.total <= 1
    assert problems.total == 1 or data == b""


def test_a_cut_zstandard_file_loses_little_of_what_could_be_read(tmp_path: Path) -> None:
    whole = zstandard(random.Random(5).randbytes(4_000_000))
    path = tmp_path / "log"
    path.write_bytes(whole[:3_000_000])
    problems = Problems()
    with Source(expand([str(path)])[0], problems) as source:
        data = source.read(8_000_000)

    assert len(data) > 2_700_000
    assert problems.total == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_letter_is_read_as_utf_8(tmp_path: Path, encoding: str) -> None:
    text = "ts,src,dst,name\r\n" + "1,10.0.0.5,192.0.2.7,bücher.example 日本 😀\r\n" * 9000
    path = tmp_path / "exported.csv"
    path.write_bytes(("\ufeff" + text).encode(encoding))

    assert read_all(path, Problems()) == text.encode()


def test_half_a_letter_at_the_end_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes("\ufeffabc".encode("utf-16-le")[:-1])

    assert read_all(path, Problems()).startswith(b"ab")


def test_the_head_is_the_beginning_and_stays_to_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(CONTENT)
    with Source(expand([str(path)])[0], Problems()) as source:
        assert source.head == CONTENT[:65_536]
        assert source.read(5) == CONTENT[:5]
        source.unread(CONTENT[:5])
        assert source.read(len(CONTENT)) == CONTENT


def test_folders_and_globs_give_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.log", "b.log", "deep/c.log"):
        (tmp_path / name).write_text("x")
    found = expand([str(tmp_path / "*.log"), str(tmp_path), str(tmp_path / "a.log")])

    assert [item.path for item in found if item.path] == [
        tmp_path / name for name in ("a.log", "b.log", "deep/c.log")
    ]


def test_links_to_folders_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    logs, spool = tmp_path / "logs", tmp_path / "spool"
    for folder in (logs, spool):
        folder.mkdir()
        (folder / "conn.log").write_text("x")
    (logs / "current").symlink_to(spool)
    (spool / "around").symlink_to(logs)
    (logs / "gone").symlink_to(tmp_path / "nowhere")

    assert [item.label for item in expand([str(logs)])] == [
        f"{logs}/conn.log",
        f"{logs}/current/conn.log",
    ]


def test_an_empty_path_is_not_the_folder_one_stands_in() -> None:
    with pytest.raises(DataError, match="a path is empty"):
        expand(["", "x"])


def test_a_folder_that_is_closed_to_us_is_told_when_it_is_opened(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()

    with pytest.raises(PermissionMissingError, match="closed: not readable by this user"):
        Source(Input(closed, 0), Problems())


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        expand([str(tmp_path / "missing.pcap")])
    with pytest.raises(DataError, match="holds no file"):
        expand([str(tmp_path)])
