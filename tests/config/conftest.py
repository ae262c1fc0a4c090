"""A strategy of valid configurations, derived from the schema itself."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from hypothesis import strategies as st

from beacon_detect.config.schema import Config, settings

ADDRESSES = st.one_of(st.ip_addresses().map(str), st.just("10.0.0.0/8"), st.just("2001:db8::/32"))
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=15)
LINE = TEXT.filter(str.isprintable)
SPECIAL: dict[tuple[str, ...], st.SearchStrategy[Any]] = {
    ("data_plane", "ring_buffer_pages"): st.integers(0, 12).map(lambda power: 1 << power),
    ("control_plane", "listen_address"): st.ip_addresses().map(str),
    ("alerting", "webhook", "url"): LINE.map("https://example.org/{}".format).filter(
        lambda url: " " not in url
    ),
    ("alerting", "webhook", "headers"): st.dictionaries(
        st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", fullmatch=True), LINE, max_size=3
    ),
    # One weight at least must be above 0, whatever the layers above and below say.
    ("detection", "weights", "cv"): st.floats(0, 1000, exclude_min=True),
    ("context", "internal_networks"): st.lists(ADDRESSES, max_size=4),
    ("whitelist", "source_ips"): st.lists(ADDRESSES, max_size=4),
    ("whitelist", "destination_ips"): st.lists(ADDRESSES, max_size=4),
    ("whitelist", "pairs"): st.lists(
        st.tuples(st.ip_addresses(), st.ip_addresses(), st.integers(0, 65535)).map(
            lambda pair: f"{bracketed(pair[0])}:{bracketed(pair[1])}:{pair[2]}"
        ),
        max_size=4,
    ),
}


def bracketed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def values_of(info: Any) -> st.SearchStrategy[Any]:
    """Return the values a setting may have, from its type and bounds."""
    bounds = {
        name: getattr(rule, name)
        for rule in info.metadata
        for name in ("ge", "gt", "le")
        if hasattr(rule, name)
    }
    kind = info.annotation
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is list:
        item = get_args(kind)[0]
        number = get_origin(item) is Annotated and get_args(item)[0] is int
        return st.lists(st.integers(0, 65535) if number else TEXT, max_size=4)
    if get_origin(kind) is dict:
        return st.dictionaries(TEXT, TEXT, max_size=3)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(bounds["ge"], bounds["le"])
    if kind is float:
        low = bounds.get("ge", bounds.get("gt"))
        return st.floats(low, bounds["le"], exclude_min="gt" in bounds)
    return TEXT


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """Return a valid tree with some of the settings."""
    tree: dict[str, Any] = {"alerting": {"webhook": {"url": "https://example.org/"}}}
    for path, info in settings():
        if draw(st.booleans()):
            branch = tree
            for part in path[:-1]:
                branch = branch.setdefault(part, {})
            branch[path[-1]] = draw(SPECIAL.get(path, values_of(info)))
    return tree


@pytest.fixture(scope="session")
def any_tree() -> st.SearchStrategy[dict[str, Any]]:
    return trees()


@pytest.fixture(scope="session")
def any_config() -> st.SearchStrategy[Config]:
    return trees().map(Config.model_validate)
