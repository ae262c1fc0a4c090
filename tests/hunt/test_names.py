"""Names: the newest one of the pair, then the DNS answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from beacon_detect.hunt.names import Names, packed
from beacon_detect.readers.columns import name_table
from beacon_detect.records import pack_address


def rows(*texts: str) -> np.ndarray:
    return np.frombuffer(b"".join(map(pack_address, texts)), np.uint8).reshape(-1, 16)


SRC, DST = rows("10.0.0.5"), rows("192.0.2.7")
PORT, TCP = np.array([443], np.uint16), np.array([6], np.uint8)


def test_the_newest_name_of_the_pair_wins_whatever_the_order() -> None:
    names = Names()
    for time, text in ((2, "new.example"), (1, "old.example")):
        names.add(name_table(np.array([time]), SRC, DST, pa.array([text]), dst_port=PORT, protocol=TCP))  # fmt: skip

    assert names.of(SRC, DST, PORT, TCP) == ["new.example"]


def test_a_dns_answer_names_any_port_of_that_client_only() -> None:
    names = Names()
    names.add(name_table(np.array([5]), SRC, DST, pa.array(["a.example"])))

    assert names.of(SRC, DST, PORT, TCP) == ["a.example"]
    assert names.of(rows("10.0.0.6"), DST, PORT, TCP) == [""]

    names.add(name_table(np.array([1]), SRC, DST, pa.array(["sni.example"]), dst_port=PORT, protocol=TCP))  # fmt: skip
    assert names.of(SRC, DST, PORT, TCP) == ["sni.example"]


def test_empty_names_say_nothing() -> None:
    names = Names()
    names.add(name_table(np.array([5]), SRC, DST, pa.array([""])))

    assert names.of(SRC, DST, PORT, TCP) == [""]


def test_packed_addresses_of_a_slice_are_the_slice() -> None:
    column = pa.chunked_array([pa.array([b"a" * 16, b"b" * 16, b"c" * 16], pa.binary(16))])

    assert packed(column.slice(1, 1)).tobytes() == b"b" * 16
    assert len(packed(column.slice(0, 0))) == 0
