"""Query parameters are read strictly: what is unknown or ambiguous is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from beacon_detect.control_plane.api.parameters import (
    Limited,
    Parameters,
    Severities,
    Since,
    since_ns,
)

RANGE = datetime(1970, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 (hypothesis adds the zone)
SINCE: TypeAdapter[datetime | None] = TypeAdapter(Since)


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Parameters.model_validate({"x": "1"})


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "1.5", "ten"])
def test_limits_are_bounded(limit: str) -> None:
    with pytest.raises(ValidationError):
        Limited.model_validate({"limit": limit})


@pytest.mark.parametrize("text", ["high", "HIGH", "High"])
def test_severities_are_read_in_any_case(text: str) -> None:
    assert TypeAdapter(Severities).validate_python([text, "low"]) == ["HIGH", "LOW"]


@given(st.datetimes(*RANGE, timezones=st.just(UTC)))
def test_times_are_read_to_the_microsecond(time: datetime) -> None:
    read = SINCE.validate_python(time.isoformat())

    assert read == time
    assert abs(since_ns(read) - time.timestamp() * 1e9) < 1e3


@pytest.mark.parametrize("text", ["2026", "20260131", "2026-01-31", "1738310400", "now", "2026-01-31T08:00:00"])  # fmt: skip
def test_numbers_dates_and_times_without_zone_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        SINCE.validate_python(text)


def test_no_time_means_from_the_beginning() -> None:
    assert since_ns(SINCE.validate_python(None)) == 0
