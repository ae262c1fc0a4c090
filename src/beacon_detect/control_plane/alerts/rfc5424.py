"""An alert as one RFC 5424 syslog message, with structured data.

Pure formatting: no socket, no clock. Everything from outside (process names,
paths, names of hosts) is stripped of control characters, so that nobody can
forge a second log line. Limit: a message has at most 2,048 octets, what
RFC 5424 section 6.1 says receivers should accept; the text is cut first, then
the parameters at the end of the list are left out, never those before them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beacon_detect import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_MESSAGE = 2048
"""Octets of a message."""

FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7,
    "uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18,
    "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}  # fmt: skip
"""Numerical codes of RFC 5424 section 6.2.1, under their names in syslog(3)."""

LEVELS = {"CRITICAL": 2, "HIGH": 3, "MEDIUM": 4, "LOW": 5}
"""Severity -> syslog severity: critical, error, warning, notice."""

SD_ID = "beacon@32473"
"""32473 is the enterprise number reserved for documentation (RFC 5612); we have none of our own."""

PARAMETERS = (
    ("id", "id"),
    ("kind", "kind"),
    ("severity", "severity"),
    ("score", "score"),
    ("src", "src_ip"),
    ("dst", "dst_ip"),
    ("dstPort", "dst_port"),
    ("protocol", "protocol"),
    ("findingId", "finding_id"),
    ("interval", "interval_seconds"),
    ("jitter", "jitter"),
    ("connections", "connections"),
    ("bytesOut", "bytes_out"),
    ("bytesIn", "bytes_in"),
    ("firstSeen", "first_seen"),
    ("lastSeen", "last_seen"),
    ("process", "process"),
    ("pid", "pid"),
    ("container", "container"),
    ("sensor", "sensor"),
    ("name", "name"),
    ("direction", "direction"),
    ("executable", "executable"),
)
"""Parameter -> field of the alert's document, the dispensable ones last."""

TECHNIQUE = "technique"
"""Parameter that carries the MITRE ATT&CK technique."""

APP_NAME = "beacon-detect"

_BOM = b"\xef\xbb\xbf"
_MAX_VALUE = 255
"""Octets of a parameter's value before escaping."""
_MAX_STRUCTURED = 1536
"""Octets of the structured data; leaves the text a fair share of the message."""
_CUT = "…".encode()


def format_message(
    fields: Mapping[str, Any], *, facility: str, hostname: str, process_id: int
) -> bytes:
    """Return the message for an alert's document.

    Parameters
    ----------
    fields
        The document, parsed.
    facility
        Name of the syslog facility.
    hostname
        This machine's name.
    process_id
        Of the control plane.
    """
    priority = FACILITIES[facility] * 8 + LEVELS[fields["severity"]]
    header = " ".join(
        (
            f"<{priority}>1",
            fields["time"],
            _header_field(hostname, 255),
            APP_NAME,
            str(process_id),
            f"alert-{fields['kind']}",
        )
    ).encode("ascii")
    start = header + b" " + _structured_data(fields) + b" " + _BOM
    return start + _shorten(_one_line(fields["message"]), MAX_MESSAGE - len(start))


def _header_field(text: str, longest: int) -> str:
    """Return ``text`` as printable ASCII without spaces, or the nil value."""
    return "".join(c for c in text if "!" <= c <= "~")[:longest] or "-"


def _structured_data(fields: Mapping[str, Any]) -> bytes:
    """Return the elements: ours and the registered ``origin``."""
    origin = f'[origin software="{APP_NAME}" swVersion="{__version__}"]'.encode()
    room = _MAX_STRUCTURED - len(origin) - 1
    data = f"[{SD_ID}".encode()
    for name, value in _values(fields):
        parameter = b' %s="%s"' % (name.encode(), escape_value(value))
        if len(data) + len(parameter) > room:
            break
        data += parameter
    return data + b"]" + origin


def _values(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield the parameters that say something, in order."""
    for name, key in PARAMETERS:
        value = fields.get(key)
        if value is None or value == "":
            continue
        yield name, f"{value:.6g}" if isinstance(value, float) else str(value)
        if name == "kind" and fields.get("attack"):
            yield TECHNIQUE, fields["attack"]["technique"]


def escape_value(text: str) -> bytes:
    r"""Return a parameter's value: one line, at most 255 octets, ``"``, ``\`` and ``]`` escaped."""
    value = _shorten(_one_line(text), _MAX_VALUE)
    for special in (b"\\", b'"', b"]"):
        value = value.replace(special, b"\\" + special)
    return value


def _one_line(text: str) -> bytes:
    """Return UTF-8 with control characters, line and paragraph separators replaced."""
    safe = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in text)
    return safe.encode("utf-8", "replace")


def _shorten(text: bytes, longest: int) -> bytes:
    """Return at most ``longest`` octets, cut between characters and marked by an ellipsis."""
    if len(text) <= longest:
        return text
    kept = text[: max(longest - len(_CUT), 0)].decode("utf-8", "ignore").encode()
    return kept + _CUT
