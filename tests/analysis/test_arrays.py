"""The short names mean what the compiled code is compiled for."""

from __future__ import annotations

from typing import get_args

import numpy as np

from beacon_detect.analysis.arrays import Floats, Integers


def test_the_names_are_64_bit() -> None:
    assert np.float64 in get_args(get_args(Floats)[1])
    assert np.int64 in get_args(get_args(Integers)[1])
