"""Readers of JSON columns: exact where digits allow, and faults named by row."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.control_plane.intake import RecordFaultsError, json_values
from beacon_detect.control_plane.intake.faults import Faults
from beacon_detect.records import SECOND, Protocol, pack_address

NANOSECONDS = pa.decimal128(38, 9)
WHOLE = pa.decimal128(38, 0)


def read(reader: Any, values: list[Any], kind: pa.DataType) -> Any:
    faults = Faults()
    result = reader("field", pa.array(values, kind), faults)
    faults.raise_any()
    return result


def faults_of(reader: Any, values: list[Any], kind: pa.DataType) -> list[str]:
    with pytest.raises(RecordFaultsError) as caught:
        read(reader, values, kind)
    return caught.value.faults


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_keep_every_digit(values: list[int]) -> None:
    assert read(json_values.whole, [decimal.Decimal(v) for v in values], WHOLE).tolist() == values


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_ids_keep_every_digit(values: list[int]) -> None:
    column = [decimal.Decimal(v) for v in values]

    assert read(json_values.unsigned, column, WHOLE).tolist() == values


@given(st.lists(st.integers(-(2**62), 2**62)))
def test_seconds_keep_every_nanosecond(values: list[int]) -> None:
    column = [decimal.Decimal(value).scaleb(-9) for value in values]

    assert read(json_values.seconds, column, NANOSECONDS).tolist() == values


@given(st.lists(st.floats(-(10**9), 10**9)))
def test_seconds_as_doubles_are_right_to_their_precision(values: list[float]) -> None:
    nanoseconds = read(json_values.seconds, values, pa.float64())

    assert np.allclose(nanoseconds / SECOND, values, rtol=1e-15, atol=1e-9)


def test_doubles_that_are_whole_are_whole_numbers() -> None:
    assert read(json_values.whole, [443.0, -1.0, None], pa.float64()).tolist() == [443, -1, 0]
    assert read(json_values.unsigned, [2.0**63], pa.float64()).tolist() == [2**63]


@pytest.mark.parametrize(
    ("reader", "values", "kind"),
    [
        (json_values.whole, [decimal.Decimal(2**63)], WHOLE),
        (json_values.whole, [1.5], pa.float64()),
        (json_values.whole, [float("nan")], pa.float64()),
        (json_values.whole, [1e300], pa.float64()),
        (json_values.unsigned, [decimal.Decimal(-1)], WHOLE),
        (json_values.unsigned, [decimal.Decimal(2**64)], WHOLE),
        (json_values.unsigned, [-1.0], pa.float64()),
        (json_values.seconds, [decimal.Decimal(10**10)], NANOSECONDS),
        (json_values.seconds, [float("inf")], pa.float64()),
        (json_values.time, ["yesterday"], pa.string()),
        (json_values.time, ["2026-11-24T04:17:24"], pa.string()),
        (json_values.time, ["3000-01-01T00:00:00Z"], pa.string()),
        (json_values.named(Protocol), ["sctp"], pa.string()),
        (json_values.named(Protocol), ["1_7"], pa.string()),
        (json_values.named(Protocol), ["²"], pa.string()),
        (json_values.address, ["10.0.0.256"], pa.string()),
        (json_values.address, [""], pa.string()),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_what_cannot_be_read_is_named(reader: Any, values: list[Any], kind: pa.DataType) -> None:
    [fault] = faults_of(reader, [None, *values, None], kind)

    assert fault.startswith("records[1].field: ")
    assert " is not " in fault


def test_times_are_rfc_3339_or_seconds() -> None:
    texts = ["1970-01-01T00:00:01Z", "1970-01-01T01:00:01.000000002+01:00", None]

    assert read(json_values.time, texts, pa.string()).tolist() == [SECOND, SECOND + 2, 0]
    assert read(json_values.time, [decimal.Decimal("1.5")], NANOSECONDS).tolist() == [
        SECOND * 3 // 2
    ]


def test_names_stand_for_numbers_whatever_their_case() -> None:
    reader = json_values.named(Protocol)

    assert read(reader, ["tcp", " UDP ", "58", "IcmpV6", None], pa.string()).tolist() == [
        6, 17, 58, 58, 0,
    ]  # fmt: skip
    assert read(reader, [decimal.Decimal(47)], WHOLE).tolist() == [47]


@given(st.lists(st.ip_addresses(), max_size=5))
def test_addresses_are_packed(hosts: list[Any]) -> None:
    texts = [str(host) for host in hosts]
    values = read(json_values.address, texts, pa.string())

    assert [bytes(value) for value in values] == [pack_address(text) for text in texts]


def test_absent_text_is_empty() -> None:
    assert read(json_values.text, ["a", None], pa.string()).to_pylist() == ["a", ""]


def test_a_body_full_of_nonsense_is_given_up_early() -> None:
    faults = faults_of(json_values.address, [f"host-{n}" for n in range(1000)], pa.string())

    assert len(faults) == 20
