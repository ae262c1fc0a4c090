"""Addresses: text becomes the bytes that the standard library makes of it, however it is written."""

from __future__ import annotations

import ipaddress

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.readers import addresses as module
from beacon_detect.readers.addresses import AddressParser, dotted_quads, packed_address
from beacon_detect.records import pack_address, unpack_address

ADDRESSES = st.ip_addresses().map(str)
TEXTS = st.lists(st.one_of(ADDRESSES, st.text(max_size=8), st.none()), max_size=40)


@given(TEXTS)
def test_addresses_agree_with_the_standard_library(texts: list[str | None]) -> None:
    parser = AddressParser()
    for _ in range(2):
        packed, valid = parser.parse(pa.array(texts, pa.string()))
        for text, raw, good in zip(texts, packed, valid, strict=True):
            try:
                expected = pack_address((text or "").partition("%")[0])
            except ValueError:
                continue
            assert good
            assert raw.tobytes() == expected


@given(ADDRESSES)
def test_an_address_is_itself_after_packing(text: str) -> None:
    packed = packed_address(text)

    assert packed is not None
    assert ipaddress.ip_address(unpack_address(packed)) in {
        ipaddress.ip_address(text),
        getattr(ipaddress.ip_address(text), "ipv4_mapped", None),
    }


def test_what_only_looks_like_an_address_is_none() -> None:
    for text in ("", "1.2.3", "1.2.3.4.5", "00:11:22:33:44:55", "1.2.3.999", "host", None):
        assert packed_address(text) is None


QUADS = st.lists(st.sampled_from(["0", "1", "9", "10", "99", "255", "256", "300", "00", "01", "", "1 ", "a", "1000", "99999999999"]), min_size=3, max_size=5).map(".".join)  # fmt: skip


@given(st.lists(st.one_of(QUADS, ADDRESSES, st.text("0123456789.", max_size=17), st.none())))
def test_columns_at_once_are_what_each_text_is_alone(texts: list[str | None]) -> None:
    whole = pa.array(["10.0.0.1", *texts], pa.string())
    for column in (whole, whole.slice(1), pa.chunked_array([whole, whole.dictionary_encode().cast(pa.string())])):  # fmt: skip
        packed, valid = AddressParser().parse(column)
        alone = [packed_address(text) for text in column.to_pylist()]

        assert valid.tolist() == [one is not None for one in alone]
        assert [raw.tobytes() for raw in packed] == [one or bytes(16) for one in alone]


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 4), min_size=1))
def test_plain_quads_need_nobody_to_look_at_them_one_by_one(numbers: list[tuple[int, ...]]) -> None:
    values, plain = dotted_quads(pa.array([".".join(map(str, one)) for one in numbers]))

    assert plain.all()
    assert values.tolist() == [int.from_bytes(bytes(one)) for one in numbers]


def test_a_full_memory_of_texts_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED", 3)
    parser = AddressParser()
    texts = [f"2001:db8::{i}" for i in range(9)]
    for text in texts * 2:
        packed, valid = parser.parse(pa.array([text]))
        assert valid.all()
        assert packed.tobytes() == pack_address(text)
    assert len(parser._known) <= 4
