"""Connections open before the start are found with their process; nothing is invented."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from beacon_detect.data_plane.snapshot import open_connections
from beacon_detect.records import Direction, Origin, Outcome, Protocol, unpack_address

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
NOW = 12_345


def line(local: str, remote: str, state: str = "01", uid: int = 0, inode: int = 1) -> str:
    zeros = "00000000:00000000 00:00000000 00000000"
    return f"   0: {local} {remote} {state} {zeros} {uid:5} 0 {inode} 1 0000000000000000 20 4 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(HEADER)
    return tmp_path


def ends(flow: object) -> dict[str, tuple[str, int]]:
    key, opener = flow["key"], int(flow["value"]["opener"])  # type: ignore[index]
    sides = [(unpack_address(key[f"address_{s}"].tobytes()), int(key[f"port_{s}"])) for s in "ab"]
    return {"src": sides[opener], "dst": sides[1 - opener]}


def test_an_outbound_connection_is_opened_by_this_end(proc: Path) -> None:
    table = HEADER + line("0A0200C0:9C40", "146433C6:01BB", uid=1000)
    (proc / "net" / "tcp").write_text(table)

    (flow,) = open_connections(NOW, include_loopback=False, proc=proc)

    assert ends(flow) == {"src": ("192.0.2.10", 40_000), "dst": ("198.51.100.20", 443)}
    value = flow["value"]
    assert (value["first"], value["last"]) == (NOW, NOW)
    assert value["origin"] == Origin.SNAPSHOT
    assert value["outcome"] == Outcome.ESTABLISHED
    assert value["direction"] == Direction.OUTBOUND
    assert value["uid"] == 1000
    assert flow["key"]["protocol"] == Protocol.TCP


def test_a_connection_to_a_listening_port_is_opened_by_the_peer(proc: Path) -> None:
    listener = line("00000000:0016", "00000000:0000", "0A")
    (proc / "net" / "tcp").write_text(HEADER + listener + line("0A0200C0:0016", "146433C6:C000"))

    (flow,) = open_connections(NOW, include_loopback=False, proc=proc)

    assert ends(flow) == {"src": ("198.51.100.20", 49_152), "dst": ("192.0.2.10", 22)}
    assert flow["value"]["direction"] == Direction.INBOUND


def test_only_established_connections_count(proc: Path) -> None:
    states = [line("0A0200C0:9C40", "146433C6:01BB", f"{state:02X}") for state in range(2, 13)]
    (proc / "net" / "tcp").write_text(HEADER + "".join(states))

    assert len(open_connections(NOW, include_loopback=False, proc=proc)) == 0


def test_ipv6_and_mapped_addresses(proc: Path) -> None:
    native = "B80D0120000000000000000001000000:1F90"
    peer = "B80D0120000000000000000002000000:C001"
    mapped = "0000000000000000FFFF00000A0200C0:1F91"
    mapped_peer = "0000000000000000FFFF0000146433C6:C001"
    (proc / "net" / "tcp6").write_text(HEADER + line(native, peer) + line(mapped, mapped_peer))

    first, second = open_connections(NOW, include_loopback=False, proc=proc)

    assert ends(first) == {"src": ("2001:db8::1", 8080), "dst": ("2001:db8::2", 49_153)}
    assert ends(second) == {"src": ("192.0.2.10", 8081), "dst": ("198.51.100.20", 49_153)}


def test_loopback_is_left_out_or_counted_once(proc: Path) -> None:
    one, other = "0100007F:9C40", "0100007F:01BB"
    listener = line("00000000:01BB", "00000000:0000", "0A")
    (proc / "net" / "tcp").write_text(HEADER + listener + line(one, other) + line(other, one))

    assert len(open_connections(NOW, include_loopback=False, proc=proc)) == 0
    (flow,) = open_connections(NOW, include_loopback=True, proc=proc)
    assert ends(flow)["dst"] == ("127.0.0.1", 443)


def test_a_machine_without_ipv6_is_fine(proc: Path) -> None:
    assert len(open_connections(NOW, include_loopback=True, proc=proc)) == 0


def test_a_real_connection_is_found_with_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, server.accept()[0]:
            near = client.getsockname()
            flows = open_connections(NOW, include_loopback=True)

    found = [flow for flow in flows if ends(flow)["src"] == near]
    assert len(found) == 1
    assert ends(found[0])["dst"] == ("127.0.0.1", port)
    assert found[0]["value"]["tgid"] == os.getpid()
    assert found[0]["value"]["comm"].decode() == Path("/proc/self/comm").read_text().strip()
