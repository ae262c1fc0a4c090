"""Times: every spelling of one moment is the same number."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers.timestamps import (
    durations_to_ns,
    epoch_to_ns,
    seconds_to_ns,
    text_to_ns,
)

MOMENTS = st.integers(min_value=1_000_000_000_000_000, max_value=2_000_000_000_000_000)


@given(MOMENTS)
def test_microseconds_survive_every_unit(microseconds: int) -> None:
    for scale in (1e-6, 1e-3, 1.0, 1e3):
        ns, valid = epoch_to_ns(np.array([microseconds * scale]))
        assert valid.all()
        assert abs(int(ns[0]) - microseconds * 1000) <= 1000


@given(MOMENTS)
def test_seconds_keep_microseconds_exactly(microseconds: int) -> None:
    text = f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"

    assert seconds_to_ns(np.array([float(text)]))[0].tolist() == [microseconds * 1000]


@given(MOMENTS)
def test_text_of_a_moment_gives_the_moment(microseconds: int) -> None:
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    moment = moment.replace(microsecond=microseconds % 1_000_000)
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
    for texts in ([stamp], [stamp + "Z"], [stamp.replace("T", " ")], [stamp.replace("-", "/")]):
        ns, valid = text_to_ns(pa.array(texts))
        assert valid.all()
        assert ns.tolist() == [microseconds * 1000]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2021-06-06T15:59:46.457984+0200", 1622987986.457984),
        ("2021-06-06T15:59:46+02:00", 1622987986.0),
        ("2021-06-06 13:59:46.5", 1622987986.5),
        ("2021/06/06 13:59:46.25", 1622987986.25),
    ],
)
def test_mixed_spellings_in_one_column_are_read_by_part(text: str, seconds: float) -> None:
    ns, valid = text_to_ns(pa.array([text, "2021-06-06T13:59:46Z", "2021-06-06 13:59:46", "no", None, "2021-13-40 00:00:00"]))  # fmt: skip

    assert valid.tolist() == [True, True, True, False, False, False]
    assert ns[:3].tolist() == [round(seconds * 1e6) * 1000, 1622987986 * 10**9, 1622987986 * 10**9]


@given(st.lists(st.floats(), max_size=20))
def test_any_float_is_a_time_or_invalid_and_never_an_error(values: list[float]) -> None:
    ns, valid = seconds_to_ns(np.array(values, np.float64))
    epoch_to_ns(np.array(values, np.float64))

    assert len(ns) == len(valid) == len(values)
    assert (ns[~valid] == 0).all()


def test_missing_and_negative_durations_are_zero() -> None:
    column = pa.chunked_array([pa.array([1.5, None, -2.0, float("nan")])])

    assert durations_to_ns(column).tolist() == [1_500_000_000, 0, 0, 0]
