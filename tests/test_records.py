"""Laws of the records that cross borders."""

from __future__ import annotations

import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.records import (
    Protocol,
    hash_words,
    pack_address,
    pair_ids,
    protocol_name,
    protocol_number,
    record_schema,
    unpack_address,
)

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))
words = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6)


@given(addresses)
def test_an_address_survives_packing(address: ipaddress.IPv4Address) -> None:
    packed = pack_address(str(address))

    assert len(packed) == 16
    unpacked = ipaddress.ip_address(unpack_address(packed))
    assert unpacked == (getattr(address, "ipv4_mapped", None) or address)


@given(words, words)
def test_different_words_hash_differently(first: list[int], second: list[int]) -> None:
    def hashed(row: list[int]) -> int:
        return int(hash_words(*(np.array([word], np.uint64) for word in row))[0])

    assert (hashed(first) == hashed(second)) == (first == second)


def as_rows(*texts: str) -> np.ndarray:
    return np.frombuffer(b"".join(map(pack_address, texts)), np.uint8).reshape(-1, 16)


def test_pair_ids_never_change() -> None:
    """Stored data depends on these values: a failure here means data loss for users."""
    ids = pair_ids(
        as_rows("192.0.2.10", "2001:db8::1"),
        as_rows("192.0.2.20", "2001:db8::2"),
        np.array([443, 53]),
        np.array([6, 17]),
    )

    assert [f"{i:016x}" for i in ids.tolist()] == PAIR_IDS


PAIR_IDS = ["59bc41bdf42f472e", "23ac9bd1cbc33d3e"]


def test_a_pair_has_a_direction() -> None:
    here, there = as_rows("192.0.2.10"), as_rows("192.0.2.20")
    port, protocol = np.array([443]), np.array([6])

    assert pair_ids(here, there, port, protocol) != pair_ids(there, here, port, protocol)


def test_protocols_have_names_and_unknown_ones_their_number() -> None:
    assert [protocol_name(p) for p in (Protocol.TCP, 17, 132)] == ["TCP", "UDP", "132"]


def test_no_column_of_a_record_may_be_null() -> None:
    assert not any(field.nullable for field in record_schema())


@pytest.mark.parametrize("number", [0, 1, 6, 17, 58, 132, 255])
def test_names_of_protocols_lead_back_to_their_numbers(number: int) -> None:
    assert protocol_number(protocol_name(number)) == number
    assert protocol_number(protocol_name(number).lower()) == number


@pytest.mark.parametrize("name", ["", "tpc", "256", "-1", "6.0"])
def test_what_is_no_protocol_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no protocol"):
        protocol_number(name)
