"""Alerts to syslog: RFC 5424 over a unix socket, UDP (RFC 5426) or TCP (RFC 6587).

Each alert opens its own socket: alerts are rare, and a socket that is kept
goes stale unseen when the daemon restarts or a firewall forgets it. Syslog
has no acknowledgement, so ``delivered`` means: taken by the local daemon's
queue (unix), sent and not refused at once (UDP), or acknowledged by the
server's kernel and not reset (TCP).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import socket
import struct
import termios
import time
from typing import TYPE_CHECKING

from beacon_detect.control_plane.alerts.channel import (
    ChannelSpec,
    PermanentFailureError,
    RetryPolicy,
    TemporaryFailureError,
)
from beacon_detect.control_plane.alerts.message import severity_rank
from beacon_detect.control_plane.alerts.rfc5424 import format_message

if TYPE_CHECKING:
    from beacon_detect.config.schema import Syslog
    from beacon_detect.control_plane.alerts.message import Alert

_REFUSAL_WAIT = 0.02
"""Seconds to wait for an ICMP "port unreachable" after a datagram; a local network needs less."""

_CLOSE_WAIT = 0.2
"""Seconds to wait for a TCP server to reset or close once its kernel has everything."""

_POLL = 0.005
"""Seconds between two looks at a TCP connection that is being waited for."""

_RETRY_FIRST = 1.0
_RETRY_LONGEST = 60.0


class SyslogChannel:
    """Sends each alert to one syslog receiver."""

    def __init__(self, settings: Syslog) -> None:
        self._settings = settings

    def deliver(self, alert: Alert) -> None:
        """Send the alert; see the module's docstring for what success means."""
        message = format_message(
            json.loads(alert.document),
            facility=self._settings.facility,
            hostname=socket.gethostname(),
            process_id=os.getpid(),
        )
        send = {"unix": self._send_unix, "udp": self._send_udp, "tcp": self._send_tcp}
        try:
            send[self._settings.transport](message)
        except (OSError, UnicodeError) as error:
            text = f"syslog {self._place()}: {getattr(error, 'strerror', None) or error}"
            if getattr(error, "errno", None) == errno.EMSGSIZE:
                raise PermanentFailureError(text) from error
            raise TemporaryFailureError(text) from error

    def close(self) -> None:
        """Nothing is kept between alerts."""

    def _place(self) -> str:
        settings = self._settings
        if settings.transport == "unix":
            return settings.socket_path
        return f"{settings.transport} {settings.host} port {settings.port}"

    def _send_unix(self, message: bytes) -> None:
        path, timeout = self._settings.socket_path, self._settings.timeout
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
                datagram.settimeout(timeout)
                datagram.connect(path)
                datagram.send(message)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(timeout)
                stream.connect(path)
                # RFC 6587 section 3.4.2: a line feed ends a message; ours holds no other.
                stream.sendall(message + b"\n")

    def _send_udp(self, message: bytes) -> None:
        settings = self._settings
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as datagram:
            datagram.settimeout(settings.timeout)
            datagram.connect(address)
            datagram.send(message)
            poll = select.poll()
            poll.register(datagram, 0)
            if poll.poll(_REFUSAL_WAIT * 1000):
                _raise_pending_error(datagram)

    def _send_tcp(self, message: bytes) -> None:
        settings = self._settings
        deadline = time.monotonic() + settings.timeout
        with socket.create_connection((settings.host, settings.port), settings.timeout) as stream:
            # Without lingering, what a failed attempt left unsent is thrown away
            # instead of arriving beside the retry.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.settimeout(max(deadline - time.monotonic(), 0.001))
            stream.sendall(b"%d %s" % (len(message), message))
            stream.shutdown(socket.SHUT_WR)
            _await_acknowledgement(stream, deadline)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))


def _await_acknowledgement(stream: socket.socket, deadline: float) -> None:
    """Return once the peer's kernel has everything and did not reset; OSError otherwise."""
    acknowledged_at = None
    stream.settimeout(_POLL)
    while True:
        now = time.monotonic()
        if acknowledged_at is None and _unacknowledged(stream) == 0:
            acknowledged_at = now
        if acknowledged_at is not None and now - acknowledged_at >= _CLOSE_WAIT:
            return
        if now >= deadline:
            if acknowledged_at is not None:
                return
            raise TimeoutError(errno.ETIMEDOUT, "the server did not take the message in time")
        try:
            if stream.recv(4096) == b"":
                if acknowledged_at is not None:
                    return
                time.sleep(_POLL)
        except TimeoutError:
            continue


def _unacknowledged(stream: socket.socket) -> int:
    """Return how many octets the peer's kernel has not acknowledged (``SIOCOUTQ``, tcp(7))."""
    answer = fcntl.ioctl(stream, termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])


def _raise_pending_error(connected: socket.socket) -> None:
    """Raise the error that the network reported for a connected datagram socket, if any."""
    code = connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _policy(_settings: Syslog) -> RetryPolicy:
    return RetryPolicy(first=_RETRY_FIRST, longest=_RETRY_LONGEST, limit=None)


def _wants(settings: Syslog, severity: str) -> bool:
    return severity_rank(severity) >= severity_rank(settings.level)


SPEC = ChannelSpec(name="syslog", open=SyslogChannel, policy=_policy, wants=_wants)
