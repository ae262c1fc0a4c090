"""Names: the newest one of the pair, then the DNS answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beacon_detect.hunt.names import Names, packed
from beacon_detect.readers.columns import name_table
from beacon_detect.records import pack_address, pair_ids


def rows(*texts: str) -> np.ndarray:
    return np.frombuffer(b"".join(map(pack_address, texts)), np.uint8).reshape(-1, 16)


SRC, DST = rows("10.0.0.5"), rows("192.0.2.7")
PORT, TCP = np.array([443], np.uint16), np.array([6], np.uint8)


def test_the_newest_name_of_the_pair_wins_whatever_the_order() -> None:
    names = Names()
    for time, text in ((2, "new.example"), (1, "old.example")):
        names.add(name_table(np.array([time]), SRC, DST, pa.array([text]), dst_port=PORT, protocol=TCP))  # fmt: skip

    assert names.of(SRC, DST, PORT, TCP) == ["new.example"]


def test_names_know_no_case_and_no_closing_dot() -> None:
    names = Names()
    for time, text in ((1, "C2.example"), (2, "c2.EXAMPLE.")):
        names.add(name_table(np.array([time]), SRC, rows(f"192.0.2.{time}"), pa.array([text]), dst_port=PORT, protocol=TCP))  # fmt: skip
    both = np.concatenate([rows("192.0.2.1"), rows("192.0.2.2")])
    pairs = (np.repeat(SRC, 2, axis=0), both, np.repeat(PORT, 2), np.repeat(TCP, 2))

    assert names.of(*pairs) == ["c2.example"] * 2
    assert names.codes(*pairs).tolist() == [0, 0]
    assert names.codes(SRC, rows("192.0.2.3"), PORT, TCP).tolist() == [-1]


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


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 50), st.sampled_from(["a", "b", "", "c"])),
        max_size=60,
    ),
    st.integers(1, 20),
)
def test_names_agree_with_a_dictionary(seen: list[tuple[int, int, str]], cut: int) -> None:
    names, expected = Names(), {}
    for start in range(0, len(seen), cut):
        part = seen[start : start + cut]
        column = pa.array([text for _, _, text in part], pa.string()).dictionary_encode()
        times = np.array([time for _, time, _ in part], np.int64)
        names.add_columns(
            np.array([i for i, _, _ in part], np.uint64), times, pa.chunked_array([column])
        )
        for i, time, text in part:
            if text and time >= expected.get(i, (time, ""))[0]:
                expected[i] = (time, text)
    found = names._find(np.arange(1, 10, dtype=np.uint64))

    assert {i: names._texts[code] for i, code in enumerate(found.tolist(), 1) if code >= 0} == {
        i: text for i, (_, text) in expected.items()
    }


def test_names_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beacon_detect.hunt.names.MAX_NAMES", 2)
    names = Names()
    column = pa.chunked_array([pa.array(["a", "b", "c"]).dictionary_encode()])
    names.add_columns(np.arange(3, dtype=np.uint64), np.zeros(3, np.int64), column)

    assert names.dropped == 1


def many(names: Names, texts: list[str], dst: np.ndarray = DST, first: int = 0) -> None:
    """Add names of one pair, the last one newest."""
    count = len(texts)
    names.add(
        name_table(
            np.arange(first, first + count), np.repeat(SRC, count, axis=0),
            np.repeat(dst, count, axis=0), pa.array(texts),
            dst_port=np.repeat(PORT, count), protocol=np.repeat(TCP, count),
        )
    )  # fmt: skip


def test_names_that_were_replaced_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beacon_detect.hunt.names.FIRST_SWEEP", 50)
    monkeypatch.setattr("beacon_detect.hunt.names.MAX_TEXTS", 100)
    names, other = Names(), rows("192.0.2.8")
    many(names, ["steady.example"], other)
    for start in range(0, 1000, 10):
        many(names, [f"{start + i}.tunnel.example" for i in range(10)], first=start)

    assert names.of(SRC, DST, PORT, TCP) == ["999.tunnel.example"]
    assert names.of(SRC, other, PORT, TCP) == ["steady.example"]
    assert names.dropped == 0


def test_a_name_that_waits_outlives_a_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beacon_detect.hunt.names.FIRST_SWEEP", 5)
    names = Names()
    many(names, [f"{i}.tunnel.example" for i in range(9)])
    waits = name_table(np.array([3]), SRC, DST, pa.array(["late.example"]), dst_port=PORT, protocol=TCP, connection_id=np.array([77], np.uint64))  # fmt: skip
    names.add(waits)
    many(names, ["other.example"], rows("192.0.2.8"), first=20)
    pair = pair_ids(SRC, rows("192.0.2.9"), PORT, TCP)
    names.add_connections(np.array([77], np.uint64), pair)

    assert names.of(SRC, rows("192.0.2.9"), PORT, TCP) == ["late.example"]


def test_more_different_names_than_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beacon_detect.hunt.names.MAX_TEXTS", 3)
    names = Names()
    for number in range(5):
        many(names, [f"{number}.example"], rows(f"192.0.2.{number}"))

    assert names.dropped == 2
    assert names.of(SRC, rows("192.0.2.2"), PORT, TCP) == ["2.example"]
    assert names.of(SRC, rows("192.0.2.4"), PORT, TCP) == [""]
