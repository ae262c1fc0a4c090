"""Lowered functions: the same results as Python's, for everything that may be used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import native_samples as samples
from beacon_detect.readers.native import code
from beacon_detect.readers.native.lowering import signatures

NUMBERS = st.integers(-50, 50) | st.integers(-(2**29), 2**29)
COMPILED = code.compile_kernels([samples])
SCALAR = [name for name, made in signatures(samples).items() if not any(made.parameters.values())]


@pytest.mark.parametrize("name", SCALAR)
@given(NUMBERS, NUMBERS)
def test_integers_give_what_python_gives(name: str, a: int, b: int) -> None:
    assert getattr(COMPILED, name)(a, b) == getattr(samples, name)(a, b)


@given(st.lists(NUMBERS, max_size=6), st.lists(st.integers(0, 255), max_size=6), NUMBERS)
def test_columns_are_written_as_python_writes_them(
    column: list[int], text: list[int], value: int
) -> None:
    arrays = np.array(column, np.int64), np.array(text, np.uint8)
    COMPILED.fill(*arrays, value)
    samples.fill(column, text, value)

    assert [array.tolist() for array in arrays] == [column, text]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=6))
def test_columns_are_passed_on(text: list[int]) -> None:
    column, array = np.zeros(3, np.int64), np.array(text, np.uint8)

    assert COMPILED.copy(array, column) == samples.copy(text, [0, 0, 0])
    assert array.tolist() == text


@given(st.lists(NUMBERS, max_size=8), NUMBERS)
def test_a_condition_that_is_decided_looks_no_further(column: list[int], wanted: int) -> None:
    assert COMPILED.early(np.array(column, np.int64), wanted) == samples.early(column, wanted)


@given(st.integers(-(2**31), 2**31 - 1))
def test_narrow_columns_keep_their_sign(value: int) -> None:
    assert COMPILED.widths(np.zeros(1, np.int32), value) == samples.widths([0], value)
