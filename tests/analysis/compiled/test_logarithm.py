"""The logarithm is the C library's to the last places."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from beacon_detect.analysis.compiled.logarithm import natural_log


@given(x=st.floats(1e-300, 1e300))
@examples(max_examples=300, deadline=None)
def test_it_is_the_logarithm_for_every_size(x: float) -> None:
    assert natural_log(x) == pytest.approx(math.log(x), rel=1e-15, abs=0)


@given(x=st.floats(0.9, 1.1))
@examples(max_examples=300, deadline=None)
def test_it_is_exact_near_one_where_logarithms_vanish(x: float) -> None:
    assert natural_log(x) == pytest.approx(math.log(x), rel=1e-15, abs=0)
