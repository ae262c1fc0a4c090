"""The whitelist agrees with a naive walk over `ipaddress` networks, whatever the entries."""

from __future__ import annotations

import ipaddress
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.config import schema
from beacon_detect.config.schema import parse_pair
from beacon_detect.control_plane.whitelist import Networks, Whitelist, covering, pack_addresses

# A small address space, so that entries and rows meet often; the mapped block and both ends included.
V4 = st.sampled_from(["10.0.0.0", "10.0.0.1", "10.0.0.255", "10.1.0.0", "0.0.0.0", "255.255.255.255"])  # fmt: skip
V6 = st.sampled_from(["::", "::1", "fd00::", "fd00::ff", "fd00:1::", "::fffe:ffff:ffff", "::1:0:0:0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])  # fmt: skip
ADDRESS = st.one_of(V4, V6)
PORT = st.sampled_from([0, 53, 80, 443, 65535])


@st.composite
def networks(draw: st.DrawFn) -> str:
    address = draw(ADDRESS)
    bits = 32 if "." in address else 128
    prefix = draw(st.one_of(st.none(), st.integers(0, bits)))
    return address if prefix is None else f"{address}/{prefix}"


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@st.composite
def whitelists(draw: st.DrawFn) -> schema.Whitelist:
    pair = st.builds(lambda s, d, p: f"{bracketed(s)}:{bracketed(d)}:{p}", ADDRESS, ADDRESS, PORT)
    return schema.Whitelist(
        source_ips=draw(st.lists(networks(), max_size=4)),
        destination_ips=draw(st.lists(networks(), max_size=4)),
        destination_ports=draw(st.lists(PORT, max_size=2)),
        pairs=draw(st.lists(pair, max_size=4)),
    )


def naive(config: schema.Whitelist, src: str, dst: str, port: int) -> bool:
    source, destination = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    pairs = [parse_pair(text) for text in config.pairs]
    return (
        any(source in ipaddress.ip_network(n, strict=False) for n in config.source_ips)
        or any(destination in ipaddress.ip_network(n, strict=False) for n in config.destination_ips)
        or port in config.destination_ports
        or any(
            (ipaddress.ip_address(s), ipaddress.ip_address(d), p) == (source, destination, port)
            for s, d, p in pairs
        )
    )


@given(whitelists(), st.lists(st.tuples(ADDRESS, ADDRESS, PORT), max_size=20))
def test_it_hides_exactly_what_a_naive_walk_over_all_entries_hides(
    config: schema.Whitelist, rows: list[tuple[str, str, int]]
) -> None:
    src, dst, ports = ([row[i] for row in rows] for i in range(3))

    hidden = Whitelist(config).hidden_text(src, dst, ports)

    assert hidden.tolist() == [naive(config, *row) for row in rows]


@given(whitelists(), ADDRESS, ADDRESS, PORT)
def test_the_entries_that_cover_a_pair_are_named_and_each_of_them_hides_it(
    config: schema.Whitelist, src: str, dst: str, port: int
) -> None:
    named = [entry.split(" ", 1) for entry in covering(config, src, dst, port)]

    assert bool(named) == naive(config, src, dst, port)
    for setting, entry in named:
        value = int(entry) if setting == "destination_ports" else entry
        alone = schema.Whitelist(**{"destination_ports": []} | {setting: [value]})  # type: ignore[dict-item]
        assert Whitelist(alone).hidden_text([src], [dst], [port]).tolist() == [True]


@given(st.lists(networks(), max_size=8))
def test_the_order_of_the_entries_does_not_matter(entries: list[str]) -> None:
    rows = pack_addresses(["10.0.0.1", "fd00::ff", "::1", "255.255.255.255"])

    assert (
        Networks(entries).contain(rows).tolist()
        == Networks(list(reversed(entries))).contain(rows).tolist()
    )


def test_all_of_ipv6_does_not_cover_ipv4() -> None:
    rows = pack_addresses(["2001:db8::1", "192.0.2.1"])

    assert Networks(["::/0"]).contain(rows).tolist() == [True, False]
    assert Networks(["0.0.0.0/0"]).contain(rows).tolist() == [False, True]


@pytest.mark.parametrize(
    ("setting", "entry"),
    [
        ("source_ips", "10.0.0.0/30"),
        ("destination_ips", "203.0.113.50"),
        ("destination_ports", 443),
        ("pairs", "10.0.0.1:203.0.113.50:443"),
    ],
)
def test_each_setting_hides_a_matching_pair_alone(setting: str, entry: str | int) -> None:
    config = schema.Whitelist.model_validate({"destination_ports": [], setting: [entry]})

    hidden = Whitelist(config).hidden_text(
        ["10.0.0.1", "10.0.0.9"], ["203.0.113.50", "203.0.113.9"], [443, 80]
    )

    assert hidden.tolist() == [True, False]


def test_dns_and_ntp_are_hidden_by_default() -> None:
    hidden = Whitelist(schema.Whitelist()).hidden_text(
        ["10.0.0.1"] * 3, ["9.9.9.9"] * 3, [53, 123, 443]
    )

    assert hidden.tolist() == [True, True, False]


def test_a_hundred_thousand_entries_cost_a_binary_search_a_row() -> None:
    entries = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(0, 200_000, 2)]
    whitelist = Whitelist(schema.Whitelist(destination_ips=entries, destination_ports=[]))
    rows = np.random.default_rng(1).integers(0, 256, (100_000, 16), np.uint8)
    ports = np.zeros(100_000, np.int64)

    begin = time.process_time()
    hidden = whitelist.hidden(rows, rows, ports)

    assert not hidden.any()
    assert time.process_time() - begin < 2.0
