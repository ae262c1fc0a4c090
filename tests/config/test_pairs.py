"""Pairs are read as written, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from beacon_detect.config.pairs import parse_pair


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("10.0.0.5:169.254.169.254:80", ("10.0.0.5", "169.254.169.254", 80)),
        ("[2001:db8::5]:[2001:db8::7]:443", ("2001:db8::5", "2001:db8::7", 443)),
        ("10.0.0.5:[2001:db8::7]:443", ("10.0.0.5", "2001:db8::7", 443)),
        ("[2001:db8::5]:10.0.0.5:65535", ("2001:db8::5", "10.0.0.5", 65535)),
    ],
)
def test_a_pair_names_source_destination_and_port(text: str, pair: tuple[str, str, int]) -> None:
    assert parse_pair(text) == pair


@pytest.mark.parametrize(
    "text", ["", "10.0.0.5", "10.0.0.5:80", "a:b:80", "10.0.0.5:10.0.0.6:65536", "::1:::2:80"]
)
def test_what_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        parse_pair(text)
