"""Every list of an explanation has its bound, and nothing in it is not a number."""

from __future__ import annotations

import json

import numpy as np
import pytest

from beacon_detect.analysis import Settings
from beacon_detect.analysis.explanation import MAX_BARS, SeriesExplanation, explain_series
from beacon_detect.context import Adjustment, Assessment
from beacon_detect.control_plane.api.explanation_models import MAX_EPISODES, Measurement

START = 1_790_000_000
REASON = Adjustment("process_location", 0.3, "runs from /tmp")


def explain(seconds: np.ndarray, sizes: int = 0) -> tuple[SeriesExplanation, np.ndarray]:
    times = np.rint((START + seconds) * 1e9).astype(np.int64)
    alike = np.full(len(times), sizes)
    return explain_series(times, alike, alike, Settings()), times


def measurement(seconds: np.ndarray, sizes: int = 0) -> Measurement:
    found, wall = explain(seconds, sizes)
    assessment = Assessment(0.5, (REASON,)) if found.scored else None
    return Measurement.of(found, wall, "connections", assessment, "why")


def many_episodes() -> np.ndarray:
    return np.concatenate([day * 86_400 + np.arange(20) * 10.0 for day in range(MAX_EPISODES + 20)])


def test_episodes_are_listed_up_to_their_bound_and_counted() -> None:
    made = measurement(many_episodes())

    assert len(made.episodes) == MAX_EPISODES
    assert made.episodes_total >= MAX_EPISODES + 20
    assert [episode.leading for episode in made.episodes].index(True) == 0
    assert made.episodes[0].score == max(episode.score for episode in made.episodes)


@pytest.mark.parametrize("count", [0, 1, 3, 8, 200])
def test_any_series_can_be_written_as_json(count: int) -> None:
    made = measurement(np.cumsum(np.random.default_rng(1).exponential(60.0, count)))

    text = json.dumps(made.model_dump(), allow_nan=False)
    assert len(json.loads(text)["histogram"]["counts"]) <= MAX_BARS
    assert len(made.check_in_times) == made.check_ins <= made.events == count


def test_sizes_that_nobody_saw_are_not_alike() -> None:
    without, alike = (measurement(np.arange(20) * 60.0, sizes).rhythm for sizes in (0, 300))

    assert without is not None
    assert alike is not None
    assert (without.size_regularity, alike.size_regularity) == (None, 1.0)


def test_risk_and_evidence_are_those_given() -> None:
    rhythm = measurement(np.arange(20) * 60.0).rhythm

    assert rhythm is not None
    assert (rhythm.risk, rhythm.severity, rhythm.evidence) == (0.5, "LOW", "why")
    assert rhythm.reasons[0].rule == "process_location"
    assert rhythm.interval_seconds == pytest.approx(60.0)
