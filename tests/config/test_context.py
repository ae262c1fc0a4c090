"""Every rule of the context has its switch, and every switch does something."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from beacon_detect.config.context import Context, ContextRules
from beacon_detect.config.schema import Config
from beacon_detect.context import RULES


def test_the_switches_are_those_of_the_registry() -> None:
    assert list(ContextRules.model_fields) == [rule.name for rule in RULES]


def test_everything_is_on_by_default() -> None:
    context = Config().context

    assert context.enabled
    assert all(getattr(context.rules, rule.name) for rule in RULES)


def test_private_networks_are_internal_by_default() -> None:
    assert Context().internal_networks == [
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7",
    ]  # fmt: skip


def test_unknown_rules_and_bad_networks_are_refused() -> None:
    with pytest.raises(ValidationError, match="rules"):
        Context.model_validate({"rules": {"prevalance": False}})
    with pytest.raises(ValidationError, match="like 10"):
        Context.model_validate({"internal_networks": ["home"]})
