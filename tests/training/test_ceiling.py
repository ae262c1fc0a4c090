"""The ceiling is what the trees say of perfect beacons."""

from __future__ import annotations

import numpy as np
from training.ceiling import MOST_CHECK_INS, ceiling

from beacon_detect.analysis import MIN_CHECK_INS
from beacon_detect.analysis.model import load_model


def test_the_shipped_ceiling_is_what_the_shipped_trees_say_of_perfect_beacons() -> None:
    shipped = load_model().forest
    steps = ceiling(shipped._replace(ceiling=np.array([np.inf])))
    counts, heights = zip(*steps, strict=True)

    assert MIN_CHECK_INS == counts[0] < counts[-1] <= MOST_CHECK_INS
    assert len(shipped.ceiling) == counts[-1] + 1
    assert np.allclose(shipped.ceiling[np.array(counts)], heights, atol=1e-4)
