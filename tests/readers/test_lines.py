"""Line blocks: the cut never loses or doubles a byte, and line numbers are right."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers import lines
from beacon_detect.readers.base import Problems
from beacon_detect.readers.inputs import Source, expand

if TYPE_CHECKING:
    import pytest

TEXTS = st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=30)


@given(TEXTS, st.integers(min_value=1, max_value=20), st.booleans())
def test_blocks_joined_are_the_file_and_number_their_lines(
    texts: list[bytes], size: int, ends: bool
) -> None:
    content = b"\n".join([b"x", *texts]) + (b"\n" if ends else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(content)
        with Source(expand([str(path)])[0], Problems()) as source:
            blocks = list(lines.line_blocks(source, Problems(), size))

    assert b"".join(block.data for block in blocks) == content
    whole = content.split(b"\n")
    expected = [i for i, line in enumerate(whole, 1) if line not in {b"", b"\r"}]
    assert [n for block in blocks for n in block.line_numbers().tolist()] == expected
    for block in blocks:
        assert content.split(b"\n")[block.first_line - 1] == block.data.split(b"\n")[0]


def test_a_line_without_end_is_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    path = tmp_path / "f"
    path.write_bytes(b"a\n" + b"x" * 1000 + b"\nb\n")
    problems = Problems()
    with Source(expand([str(path)])[0], problems) as source:
        blocks = list(lines.line_blocks(source, problems, 10))

    assert b"".join(block.data for block in blocks) == b"a\nb\n"
    assert blocks[-1].line_numbers().tolist() == [3]
    assert problems.counts == {"a line is too long": 1}


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\xef\xbb\xbfts,src\n")
    with Source(expand([str(path)])[0], Problems()) as source:
        assert lines.first_lines(source.head) == [b"ts,src"]
        assert next(lines.line_blocks(source, Problems())).data == b"ts,src\n"
