"""Alerts over syslog: real sockets of every kind, and what counts as delivered."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from alert_factory import alert
from beacon_detect.config.schema import Syslog
from beacon_detect.control_plane.alerts.channel import TemporaryFailureError
from beacon_detect.control_plane.alerts.channels import syslog
from beacon_detect.control_plane.alerts.channels.syslog import SPEC, SyslogChannel
from beacon_detect.control_plane.alerts.message import SEVERITIES, Alert
from beacon_detect.control_plane.alerts.rfc5424 import FACILITIES, SD_ID
from patience import PATIENCE
from rfc5424_reader import read_message, read_octet_counted


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a channel wait for the receiver's refusal however busy the machine is."""
    monkeypatch.setattr(syslog, "_REFUSAL_WAIT", PATIENCE)
    monkeypatch.setattr(syslog, "_CLOSE_WAIT", PATIENCE)


def send(told: Alert, **settings: Any) -> None:
    channel = SyslogChannel(Syslog(**settings))
    try:
        channel.deliver(told)
    finally:
        channel.close()


def check(data: bytes, told: Alert) -> None:
    message = read_message(data)
    assert message.elements[SD_ID]["id"] == told.id
    assert message.text == json.loads(told.document)["message"]
    assert message.process_id == str(os.getpid())


def test_a_unix_datagram_socket_gets_one_message_a_datagram(
    unix_datagram: tuple[socket.socket, Path],
) -> None:
    receiver, path = unix_datagram
    told = [alert(), alert("LOW")]
    for one in told:
        send(one, socket_path=str(path))

    for one in told:
        check(receiver.recv(65536), one)


def test_a_unix_stream_socket_gets_one_message_a_line(unix_stream_server: Any) -> None:
    server, path = unix_stream_server
    told = alert()
    send(told, socket_path=str(path))

    line, end, rest = server.next().partition(b"\n")
    check(line, told)
    assert (end, rest) == (b"\n", b"")


def test_udp_gets_one_message_a_datagram(udp_receiver: tuple[socket.socket, int]) -> None:
    receiver, port = udp_receiver
    told = alert()
    send(told, transport="udp", host="127.0.0.1", port=port)

    check(receiver.recv(65536), told)


def test_ipv6_servers_are_reached_by_udp_and_tcp() -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as listener,
    ):
        receiver.bind(("::1", 0))
        receiver.settimeout(PATIENCE)
        told = alert()
        send(told, transport="udp", host="::1", port=receiver.getsockname()[1])
        send(told, transport="tcp", host="::1", port=listener.getsockname()[1])

        check(receiver.recv(65536), told)


def test_tcp_gets_octet_counted_frames(tcp_server: Any) -> None:
    server, port = tcp_server
    told = [alert(), alert("HIGH", name="größe.example")]
    for one in told:
        send(one, transport="tcp", port=port)

    for one in told:
        [message] = read_octet_counted(server.next())
        check(message, one)


@pytest.mark.parametrize("facility", ["auth", "local5"])
def test_the_facility_is_the_one_configured(
    unix_datagram: tuple[socket.socket, Path], facility: str
) -> None:
    receiver, path = unix_datagram
    send(alert(), socket_path=str(path), facility=facility)

    assert read_message(receiver.recv(65536)).facility == FACILITIES[facility]


@pytest.mark.parametrize("level", SEVERITIES)
def test_the_level_is_the_least_severity_sent(level: str) -> None:
    wanted = [severity for severity in SEVERITIES if SPEC.wants(Syslog(level=level), severity)]

    assert wanted == list(SEVERITIES[SEVERITIES.index(level) :])


def test_a_missing_socket_is_a_failure_that_names_it(tmp_path: Path) -> None:
    path = str(tmp_path / "none.sock")

    with pytest.raises(TemporaryFailureError, match=rf"syslog {path}: No such file"):
        send(alert(), socket_path=path)


def test_a_daemon_that_is_gone_is_a_failure_and_a_new_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log.sock"
    channel = SyslogChannel(Syslog(socket_path=str(path)))
    told = alert()
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
            receiver.bind(str(path))
            channel.deliver(told)
            check(receiver.recv(65536), told)
        with pytest.raises(TemporaryFailureError, match="Connection refused"):
            channel.deliver(told)
        path.unlink()
    channel.close()


def test_a_full_queue_is_a_failure_after_the_timeout(
    unix_datagram: tuple[socket.socket, Path],
) -> None:
    _, path = unix_datagram

    def fill() -> None:
        for _ in range(10_000):
            send(alert(), socket_path=str(path), timeout=0.1)

    with pytest.raises(TemporaryFailureError, match="timed out"):
        fill()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_port_where_nobody_listens_is_a_failure(transport: str, dead_port: int) -> None:
    with pytest.raises(
        TemporaryFailureError, match=f"syslog {transport} 127.0.0.1 port {dead_port}: .*refused"
    ):
        send(alert(), transport=transport, port=dead_port)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_name_that_does_not_resolve_is_a_failure(transport: str) -> None:
    with pytest.raises(TemporaryFailureError, match=r"syslog .* bad\.\.name port 514: "):
        send(alert(), transport=transport, host="bad..name")


@pytest.mark.usefixtures("patient")
def test_a_server_that_resets_is_a_failure() -> None:
    """It took the connection and crashed without reading: nobody has the alert."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def crash() -> None:
            connection, _ = listener.accept()
            connection.recv(1)
            connection.close()

        server = threading.Thread(target=crash)
        server.start()
        with pytest.raises(TemporaryFailureError, match=r"reset by peer|not connected|Broken pipe"):
            send(alert(), transport="tcp", port=listener.getsockname()[1], timeout=PATIENCE)
        server.join()


def test_a_server_that_takes_nothing_is_a_failure_after_the_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]

        def fill() -> None:
            # A listener that never accepts: beyond its queue connections are not answered.
            for _ in range(3):
                send(alert(), transport="tcp", port=port, timeout=0.3)

        with pytest.raises(TemporaryFailureError, match="timed out"):
            fill()
