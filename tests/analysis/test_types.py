"""Records that do not fit together are refused before compiled code reads them."""

from __future__ import annotations

import numpy as np
import pytest

from beacon_detect.analysis import SeriesBatch, Settings


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_series_are_joined_in_order() -> None:
    batch = SeriesBatch.from_lists([integers(1, 2), integers(), integers(5)])

    assert len(batch) == 3
    assert batch.offsets.tolist() == [0, 2, 2, 3]
    assert batch.times.tolist() == [1, 2, 5]


def test_no_series_is_a_batch_too() -> None:
    assert len(SeriesBatch.from_lists([])) == 0


@pytest.mark.parametrize(
    "offsets", [integers(), integers(1, 3), integers(0, 2), integers(0, 3, 1, 3)]
)
def test_offsets_that_do_not_describe_the_times_are_refused(offsets: np.ndarray) -> None:
    three = integers(1, 2, 3)

    with pytest.raises(ValueError, match="offset"):
        SeriesBatch(offsets=offsets, times=three, bytes_out=three, bytes_in=three)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cv_threshold": 0.0},
        {"jitter_threshold": -1.0},
        {"weights": (0.0, 0.0, 0.0)},
        {"weights": (1.0, -0.1, 0.1)},
    ],
)
def test_settings_no_score_can_be_made_of_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        Settings(**wrong)  # type: ignore[arg-type]
