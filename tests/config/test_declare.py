"""Declarations carry what is said about a setting, and sections refuse what they do not know."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from beacon_detect.config.declare import Network, Section, setting


class Sample(Section):
    """A section of one setting."""

    wait: float = setting(1.0, "How long", unit="seconds", restart=True, ge=0)


def test_a_setting_carries_meaning_unit_and_bounds() -> None:
    info = Sample.model_fields["wait"]

    assert info.description == "How long"
    assert info.json_schema_extra == {"unit": "seconds", "restart": True, "secret": False, "shown": ""}  # fmt: skip
    with pytest.raises(ValidationError):
        Sample(wait=-1.0)


def test_unknown_keys_and_changes_are_refused() -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({"wiat": 2.0})
    with pytest.raises(ValidationError):
        Sample().wait = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(("text", "good"), [("10.0.0.0/8", True), ("fd00::1", True), ("ten", False)])  # fmt: skip
def test_networks_are_checked(text: str, good: bool) -> None:
    check = TypeAdapter(Network).validate_python
    if good:
        assert check(text) == text
    else:
        with pytest.raises(ValidationError, match="like 10"):
            check(text)
