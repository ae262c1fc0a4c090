"""Names: DNS answers, SNI and Host as they were sent; junk never fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beacon_detect.readers.capture import frames, names
from capture_factory import (  # fmt: skip
    CLIENT,
    SERVER,
    Packet,
    client_hello,
    connection,
    dns_answer,
    ethernet,
    pcap,
    split_hello,
    udp,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def named(read: Callable, *packets: Packet) -> list[tuple]:
    return [(n["src"], n["dst"], n["dst_port"], n["name"]) for n in read(pcap(list(packets))).names]


def test_a_dns_answer_names_its_addresses_for_the_client(read: Callable) -> None:
    answer = dns_answer("C2.Example.com", SERVER, "2001:db8::7")

    assert named(read, Packet(1, ethernet(answer))) == [
        (CLIENT, SERVER, 0, "c2.example.com"),
        (CLIENT, "2001:db8::7", 0, "c2.example.com"),
    ]


def test_a_client_hello_names_the_pair(read: Callable) -> None:
    packets = connection(1, request=client_hello("c2.example.com"))

    assert named(read, *packets) == [(CLIENT, SERVER, 443, "c2.example.com")]


@pytest.mark.parametrize("cuts", [(60,), (80,), (84,), (90,), (60, 70, 88), (44, 45)])
def test_a_client_hello_in_several_segments_names_the_pair(read: Callable, cuts: tuple[int, ...]) -> None:  # fmt: skip
    hello = client_hello("c2.example.com")

    assert named(read, *split_hello(1, hello, *cuts)) == [(CLIENT, SERVER, 443, "c2.example.com")]


def test_hellos_in_pieces_do_not_mix(read: Callable) -> None:
    ports = range(50_000, 50_040)
    packets = [
        packet
        for port in ports
        for packet in split_hello(1 + port % 7 / 1e4, client_hello(f"host{port}.example"), 80, port=port)
    ]  # fmt: skip
    packets.sort(key=lambda packet: packet.time)

    assert sorted(name for *_, name in named(read, *packets)) == [f"host{port}.example" for port in ports]  # fmt: skip


def test_a_hello_whose_end_was_not_captured_gives_no_name(read: Callable) -> None:
    first, second = split_hello(1, client_hello("c2.example.com"), 80)
    short = Packet(first.time, first.frame[:-5], len(first.frame))

    assert named(read, short, second) == []


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET / HTTP/1.1\r\nHost: c2.example.com\r\n\r\n",
        b"POST /submit HTTP/1.1\r\nAccept: */*\r\nhost:c2.example.com:8080\r\n\r\n",
    ],
)
def test_a_request_names_the_pair(read: Callable, request_text: bytes) -> None:
    packets = connection(1, request=request_text, dport=8080)

    assert named(read, *packets) == [(CLIENT, SERVER, 8080, "c2.example.com")]


@pytest.mark.parametrize("data", [client_hello("bad name"), client_hello(""), b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GETTING\r\nHost: a\r\n"])  # fmt: skip
def test_what_is_no_name_gives_none(read: Callable, data: bytes) -> None:
    assert named(read, *connection(1, request=data)) == []


def test_a_question_is_no_answer(read: Callable) -> None:
    answer = bytearray(dns_answer("a.example", SERVER))
    answer[30] &= 0x7F

    assert named(read, Packet(1, ethernet(bytes(answer)))) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_damaged_answers_and_hellos_never_fail(read: Callable, data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([dns_answer("a.b.example", SERVER)[28:], client_hello("a.example")])))  # fmt: skip
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)))]
    answer = ethernet(udp("10.0.0.1", CLIENT, 53, 4000, bytes(body)))
    for _, _, _, name in named(read, Packet(0.5, answer), *connection(1, request=bytes(body))):
        assert 0 < len(name) <= names.MAX_NAME
        assert name.isascii()


@given(st.binary(max_size=150), st.booleans())
def test_nothing_behind_the_captured_payload_is_read(body: bytes, dns: bool) -> None:
    class Watched(bytes):
        def __getitem__(self, at: int) -> int:  # type: ignore[override]
            assert 0 <= at < max(len(body), 1)
            return super().__getitem__(at)

    row = [0] * frames.STRIDE
    row[frames.META] = frames.UDP if dns else frames.TCP
    row[frames.PORTS] = 53 << 16 | 4000
    row[frames.CAPTURED] = len(body)
    found, text = [0] * (64 * names.FOUND), bytearray(2048)

    hellos, pieces = (
        [0] * (names.SLOTS * names.HELLO + 1),
        bytearray(names.SLOTS * names.HELLO_BYTES),
    )

    names.find_names(Watched(body), row, 0, 1, found, text, [0, 0], hellos, pieces)
