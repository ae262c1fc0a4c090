"""The progress line: what it says, and that nobody sees it without a terminal."""

from __future__ import annotations

import pytest

from beacon_detect.cli.progress import ProgressLine, progress_text


def test_the_line_shows_share_rate_and_time_left() -> None:
    text = progress_text("a.pcap", 50 << 20, 100 << 20, 1234, 5.0)

    assert text.startswith("████████████░░░░░░░░░░░░  50%  50.0 MiB of 100.0 MiB")
    assert "10.0 MiB/s  5s left  1,234 records  a.pcap" in text


def test_without_a_total_there_is_no_share() -> None:
    assert progress_text("standard input", 1 << 20, 0, 5, 1.0).startswith("1.0 MiB  1.0 MiB/s")


@pytest.mark.parametrize(("taken", "passed"), [(0, 0.0), (10, 0.0), (20, 1.0)])
def test_no_moment_divides_by_zero(taken: int, passed: float) -> None:
    assert progress_text("f", taken, 10, 0, passed)


def test_nothing_is_shown_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine() as progress:
        progress("f", 1, 2, 3)

    assert capsys.readouterr() == ("", "")


def test_a_sentence_is_said_once_even_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    with ProgressLine() as progress:
        progress.tell("please wait")
        progress.tell("please wait")

    assert capsys.readouterr() == ("", "please wait\n")
