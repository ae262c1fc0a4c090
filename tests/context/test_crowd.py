"""Counting hosts: the columns answer what plain sets would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from beacon_detect.context.crowd import crowd_of
from beacon_detect.records import pack_address

PAIRS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 4), st.integers(0, 10**18)), max_size=60
)


def packed(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(map(pack_address, texts)), np.uint8).reshape(-1, 16)


def inside(addresses: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Call every second address internal."""
    return addresses[:, 15] % 2 == 0


@given(PAIRS)
def test_every_destination_has_its_internal_sources_and_first_sight(
    pairs: list[tuple[int, int, int]],
) -> None:
    src = packed([f"10.0.0.{source}" for source, _, _ in pairs])
    dst = packed([f"203.0.113.{destination}" for _, destination, _ in pairs])
    wanted = packed([f"203.0.113.{place}" for place in (3, 0, 3, 9)])
    seen = np.array([first for *_, first in pairs], np.int64)

    found = crowd_of(wanted, src, dst, seen, inside)

    assert found.hosts == len({source for source, _, _ in pairs if source % 2 == 0})
    for at, place in enumerate((3, 0, 3, 9)):
        here = [(source, first) for source, destination, first in pairs if destination == place]
        assert found.sources[at] == len({source for source, _ in here if source % 2 == 0})
        never = np.iinfo(np.int64).max
        assert found.first_seen[at] == min((first for _, first in here), default=never)


NAMED = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 4), st.integers(0, 3), st.integers(0, 10**18)),
    max_size=60,
)


@given(NAMED)
def test_a_named_destination_has_the_hosts_of_all_its_addresses(
    pairs: list[tuple[int, int, int, int]],
) -> None:
    src = packed([f"10.0.0.{source}" for source, *_ in pairs])
    dst = packed([f"203.0.113.{place}" for _, place, *_ in pairs])
    names = np.array([name for *_, name, _ in pairs], np.uint64)
    seen = np.array([first for *_, first in pairs], np.int64)
    asked = [(3, 0), (0, 1), (1, 1), (0, 2), (2, 9)]
    wanted = packed([f"203.0.113.{place}" for place, _ in asked])
    wanted_names = np.array([name for _, name in asked], np.uint64)

    found = crowd_of(wanted, src, dst, seen, inside, wanted_names=wanted_names, names=names)

    for at, (place, name) in enumerate(asked):
        homes = {p for _, p, n, _ in pairs if n == name}
        here = [
            (source, first)
            for source, p, n, first in pairs
            if (n == name or (n == 0 and p in homes) if name and homes else p == place)
        ]
        assert found.sources[at] == len({source for source, _ in here if source % 2 == 0})
        never = np.iinfo(np.int64).max
        assert found.first_seen[at] == min((first for _, first in here), default=never)


def test_nothing_asked_is_nothing_answered() -> None:
    one = packed(["10.0.0.2"])
    found = crowd_of(packed([]), one, one, np.zeros(1, np.int64), inside)

    assert (found.hosts, len(found.sources), len(found.first_seen)) == (1, 0, 0)
