"""What the tests of the detection core share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from beacon_detect.analysis import Results, SeriesBatch, Settings, analyze


@pytest.fixture
def score() -> Callable[..., Results]:
    """Analyze separate time arrays, with the default settings unless others are given."""

    def run(*series: np.ndarray, settings: Settings | None = None) -> Results:
        return analyze(SeriesBatch.from_lists(series), settings or Settings())

    return run
