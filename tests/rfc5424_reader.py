"""Reads RFC 5424 messages strictly by the grammar of its section 6; knows nothing of the writer.

Shared by the tests of syslog; not a test itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HEADER = re.compile(
    rb"<(0|[1-9][0-9]{0,2})>1 "
    rb"(-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})) "
    rb"([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) "
)
_NAME = rb"[!#-<>-\\^-~]{1,32}"
_PARAM = re.compile(rb" (" + _NAME + rb')="((?:[^"\\\]]|\\.)*)"', re.DOTALL)
_ELEMENT = re.compile(rb"\[(" + _NAME + rb")")


@dataclass
class Message:
    """One message, taken apart."""

    facility: int
    severity: int
    timestamp: str
    hostname: str
    app_name: str
    process_id: str
    message_id: str
    elements: dict[str, dict[str, str]] = field(default_factory=dict)
    text: str = ""


def read_message(data: bytes) -> Message:
    """Return the parts of a message; AssertionError where it breaks the grammar."""
    header = _HEADER.match(data)
    assert header, data
    priority = int(header[1])
    assert priority <= 191
    message = Message(
        priority // 8, priority % 8, *(part.decode("ascii") for part in header.groups()[1:])
    )
    at = header.end()
    if data[at : at + 1] == b"-":
        at += 1
    else:
        while element := _ELEMENT.match(data, at):
            params: dict[str, str] = {}
            at = element.end()
            while param := _PARAM.match(data, at):
                value = re.sub(rb'\\(["\\\]])', rb"\1", param[2])
                params[param[1].decode("ascii")] = value.decode("utf-8")
                at = param.end()
            assert data[at : at + 1] == b"]", data[at:]
            at += 1
            assert element[1].decode("ascii") not in message.elements
            message.elements[element[1].decode("ascii")] = params
        assert message.elements
    if at < len(data):
        assert data[at : at + 4] == b" \xef\xbb\xbf", data[at:]
        message.text = data[at + 4 :].decode("utf-8")
    return message


def read_octet_counted(data: bytes) -> list[bytes]:
    """Return the messages of a stream framed as in RFC 6587, section 3.4.1."""
    messages = []
    while data:
        length, _, rest = data.partition(b" ")
        assert re.fullmatch(rb"[1-9][0-9]*", length), length
        assert len(rest) >= int(length)
        messages.append(rest[: int(length)])
        data = rest[int(length) :]
    return messages
