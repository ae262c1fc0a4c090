"""Variables set what they name, in the type of their setting, or are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config.environment import read_environment, variable_name
from beacon_detect.config.schema import settings
from beacon_detect.errors import ConfigError


def value_of(name: str, text: str) -> Any:
    """Return what the variable sets, and that it sets nothing else."""
    value: Any = read_environment({f"BEACON_DETECT_{name}": text}, 2).tree
    while isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_a_text_setting_takes_any_text_as_it_is(text: str) -> None:
    assert value_of("ALERTING__SYSLOG__HOST", text) == text


@given(st.integers())
def test_a_number_setting_takes_numbers(number: int) -> None:
    assert value_of("DETECTION__MIN_CONNECTIONS", str(number)) == number


@given(st.floats(allow_nan=False))
def test_a_fraction_setting_takes_fractions(number: float) -> None:
    assert value_of("DETECTION__CV_THRESHOLD", repr(number)) == number


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ALERTING__SYSLOG__HOST", "10", "10"),
        ("ALERTING__SYSLOG__HOST", "true", "true"),
        ("ALERTING__SYSLOG__ENABLED", "no", False),
        ("ALERTING__SYSLOG__ENABLED", "True", True),
        ("ALERTING__SYSLOG__ENABLED", "perhaps", "perhaps"),
        ("ALERTING__FILE_ENABLED", "false", False),
        ("ALERTING__FILE_PATH", "7", "7"),
        ("DETECTION__MIN_CONNECTIONS", "ten", "ten"),
        ("WHITELIST__PORTS", "53, 123", [53, 123]),
        ("WHITELIST__DESTINATION_PORTS", "[53, 123]", [53, 123]),
        ("WHITELIST__DESTINATION_PORTS", "53,x", [53, "x"]),
        ("WHITELIST__SOURCE_IPS", "10.0.0.1,2001:db8::1", ["10.0.0.1", "2001:db8::1"]),
        ("WHITELIST__SOURCE_IPS", "", []),
        ("WHITELIST__SOURCE_IPS", "['::1']", ["::1"]),
        ("WHITELIST__SOURCE_IPS", "[", "["),
        ("ALERTING__WEBHOOK__HEADERS", "{X-A: '1', X-B: 2}", {"X-A": "1", "X-B": "2"}),
    ],
)
def test_text_is_read_as_what_the_setting_wants(name: str, text: str, value: Any) -> None:
    assert value_of(name, text) == value


@pytest.mark.parametrize(("path", "_info"), list(settings()), ids=lambda value: str(value)[:50])
def test_every_setting_has_a_variable(path: tuple[str, ...], _info: object) -> None:
    layer = read_environment({variable_name(path): "1"}, 2)

    assert list(layer.values) == [path]
    assert str(layer.values[path]) == f"environment variable {variable_name(path)}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DETECTION_MIN_CONNECTIONS", "must be named BEACON_DETECT_SECTION__KEY"),
        ("DETECTION__", "must be named"),
        ("DETECTION", "must be named"),
        ("detection__min_connections", "upper case"),
        ("ALERTING__SYSLOG", "alerting.syslog is a section"),
        ("ALERTING__WEBHOOK__HEADERS__X_A", "no key below alerting.webhook.headers"),
        ("DETECTION__CV_THRESHOLD__LOW", "no key below detection.cv_threshold"),
    ],
)
def test_a_variable_that_names_no_setting_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_environment({f"BEACON_DETECT_{name}": "1"}, 2)


@pytest.mark.parametrize(
    "name",
    [
        "BEACON_DETECT_CONFIG",
        "BEACON_DETECT_PORT",
        "BEACON_DETECT_SERVICE_HOST",
        "BEACON_DETECT_SERVICE_PORT",
        "BEACON_DETECT_SERVICE_PORT_HTTP",
        "BEACON_DETECT_PORT_9090_TCP",
        "BEACON_DETECT_PORT_9090_TCP_ADDR",
        "BEACON_DETECT_SERVER_PORT_9090_TCP_PROTO",
        "BEACON_API_TOKEN",
        "PATH",
    ],
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    assert read_environment({name: "tcp://10.0.0.1:9090"}, 2).tree == {}
