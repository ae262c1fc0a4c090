"""The screen of an explanation says what the answer says, in the width it has, on any terminal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis import Settings
from beacon_detect.analysis.explanation import explain_series
from beacon_detect.cli.explanation_text import explanation_lines
from beacon_detect.cli.pictures import ASCII, BLOCKS, Palette
from beacon_detect.context import Adjustment, Assessment
from beacon_detect.control_plane.api.explanation_models import Explanation, Measurement
from beacon_detect.control_plane.verdict import Case, decide

START = 1_790_000_000
REASON = Adjustment("process_location", 0.3, "the program runs from the temporary folder /tmp/.x")


def answer_of(seconds: np.ndarray, **fields: Any) -> dict[str, Any]:
    """Return the answer about a series of these times."""
    times = np.rint((START + seconds) * 1e9).astype(np.int64)
    sizes = np.full(len(times), 100)
    found = explain_series(times, sizes, sizes, Settings()) if len(times) else None
    assessment = None
    if found is not None and found.scored:
        assessment = Assessment(float(found.episodes.score[0]), (REASON,))
    case = Case(found, Settings(), 0.7, "the last 24.0 h", assessment)
    risk = None if assessment is None else assessment.risk
    verdict = decide(replace(case, flagged_risk=risk))
    known: dict[str, Any] = {
        "id": "5aaf2a095b5ecaa9", "src_ip": "10.0.0.100", "dst_ip": "203.0.113.50",
        "dst_port": 443, "protocol": "TCP", "series": "connections", "addresses": 1,
        "connections": len(times), "first_seen": "2026-09-21T13:33:20.000000Z",
        "last_seen": "2026-09-21T14:33:20.000000Z", "bytes_out": 100, "bytes_in": 200,
        "process": "implant", "executable": "/tmp/.x/implant", "pid": 99, "container": "",
        "sensor": "web-1", "name": "c2.example", "direction": "outbound",
        "whitelisted_by": [], "alert_threshold": 0.7, "finding": None, "times": [], "intervals": [],
    }  # fmt: skip
    measured = None
    if found is not None:
        measured = Measurement.of(found, times, "connections", assessment, "40 check-ins, evenly")
    made = Explanation(
        **known, flagged=verdict.flagged, verdict=verdict.text,
        why_not=list(verdict.why_not), measured=measured,
    )  # fmt: skip
    return made.model_dump() | fields


BEACON = np.delete(np.arange(60) * 60.0, [10, 20, 30, 31])
CHANCE = np.cumsum(np.random.default_rng(3).exponential(60.0, 60))


def screen(answer: dict[str, Any], width: int = 80, palette: Palette = BLOCKS) -> str:
    return "\n".join(explanation_lines(answer, width, palette, colour=False))


def test_a_beacon_is_shown_from_its_verdict_to_its_pictures() -> None:
    text = screen(answer_of(BEACON))

    assert "10.0.0.100 → 203.0.113.50:443/TCP  c2.example" in text
    assert "implant (pid 99), /tmp/.x/implant" in text
    assert "sensor web-1, outbound, id 5aaf2a095b5ecaa9" in text
    assert "flagged: CRITICAL, risk" in text
    assert "40 check-ins, evenly" in text
    assert "56, 4 missed, out of 56 events" in text
    assert "+0.30 process_location: the program runs" in text
    assert "MORE OF A BEACON THAN RANDOM TRAFFIC" in text
    assert "TIME BETWEEN CHECK-INS (55 intervals)" in text
    assert "ALL CHECK-INS (56 over 59.0m)" in text


def test_a_beacon_is_a_vertical_line_under_its_bar() -> None:
    lines = screen(answer_of(BEACON)).splitlines()
    head = next(i for i, line in enumerate(lines) if "AND WHEN" in line)
    raster = lines[head + 1 : head + 13]
    marks = next(line for line in lines if "═" in line and "densest" not in line)
    column = marks.index("═")

    assert all(line[column : column + 3].strip() for line in raster)
    assert lines[lines.index(marks) - 1][column : column + 3].strip() == "█"
    assert {"2", "3"} <= set(marks)


def test_why_not_is_listed_reason_by_reason() -> None:
    answer = answer_of(CHANCE)
    text = " ".join(screen(answer).split())

    assert answer["verdict"].startswith("not flagged: score")
    assert all(" ".join(reason.split()) in text for reason in answer["why_not"])
    assert text.count("is below 70.0%") == 1


def test_too_few_check_ins_have_a_verdict_and_no_numbers() -> None:
    text = screen(answer_of(np.arange(4) * 60.0))

    assert "not flagged: only 4 check-ins" in text
    assert "MEASURED NOW" not in text
    assert "TIME BETWEEN CHECK-INS (3 intervals)" in text


def test_a_pair_without_records_has_a_verdict_only() -> None:
    text = screen(answer_of(np.zeros(0)))

    assert "no connection of this pair is on record" in text
    assert "TIME BETWEEN" not in text


def test_episodes_and_changes_of_sleep_are_listed() -> None:
    late = 86_400 + np.arange(60) * 300.0
    text = screen(answer_of(np.concatenate([np.arange(60) * 30.0, late])))

    assert "EPISODES (2; the first is the one scored)" in text
    assert "the sleep changed, 30s → 5.0m" in text


@examples(max_examples=20)
@given(
    count=st.integers(0, 300),
    jitter=st.floats(0, 1),
    interval=st.floats(0.5, 50_000),
    width=st.integers(60, 100),
    palette=st.sampled_from([ASCII, BLOCKS]),
)
def test_lines_fit_the_screen_whatever_is_explained(
    count: int, jitter: float, interval: float, width: int, palette: Palette
) -> None:
    rng = np.random.default_rng(count)
    sleeps = interval * rng.uniform(1 - jitter, 1 + jitter, count)
    lines = explanation_lines(answer_of(np.cumsum(sleeps)), width, palette, colour=False)

    assert max(map(len, lines)) <= max(width, 80)
    assert palette is BLOCKS or all(line.isascii() for line in lines)


def test_names_from_outside_cannot_drive_the_terminal() -> None:
    text = screen(answer_of(BEACON, process="\x1b]0;owned\x07", name="\x1b[2J", sensor="a\x1bb"))

    assert "\x1b" not in text
    assert "�]0;owned�" in text


@pytest.mark.parametrize(("seconds", "code"), [(BEACON, "\x1b[1;31m"), (CHANCE, "\x1b[2m")])
def test_colour_paints_the_verdict_only(seconds: np.ndarray, code: str) -> None:
    lines = explanation_lines(answer_of(seconds), 80, BLOCKS, colour=True)
    painted = [line for line in lines if "\x1b" in line]

    assert len(painted) == 1
    assert painted[0].startswith(code)
