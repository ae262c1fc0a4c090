"""Stage 4: names of destinations from DNS answers, TLS client hellos and HTTP requests.

A DNS answer names an address for the client that got it; SNI and Host name the
pair itself. Only names of printable ASCII are taken. A client hello that is cut
by the end of its segment waits for the next ones. Limit: an HTTP request or a
DNS answer over TCP is looked at one segment at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.readers.capture.frames import (
    A0,
    AT,
    B0,
    CAPTURED,
    META,
    PAYLOAD,
    PORTS,
    SIDE,
    STRIDE,
    TCP,
    TIME,
    UDP,
)

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

KERNELS = (
    "u8", "be16", "copy_text", "copy_labels", "after_name", "server_name", "host_header", "dns_answers",
    "add_found", "slot_of", "keep_piece", "join_piece", "find_names",
)  # fmt: skip

DNS_PORT, LLMNR_PORT = 53, 5355
MAX_ANSWERS = 32
MAX_NAME = 253
HTTP_SEARCH = 1024
TYPE_A, TYPE_AAAA = 1, 28

CUT = -1
"""Length of a name that comes in a later segment."""
SLOTS = 64
"""Client hellos that may wait for their next segment at a time; a newer one takes the place."""
HELLO_BYTES = 8192
"""Longest client hello that is put together; with post-quantum keys they have some 2,000 bytes."""
HELLO = 12
"""Columns of a waiting hello: the words that tell its connection and side, bytes so far (0: free)."""
_HELLO_USED = 11

FOUND = 13
"""Columns of a found name: time, client (4 words), server (4 words), port, protocol, text, length."""


def u8(buffer: Sequence[int], at: int) -> int:
    """Read a byte as a signed word."""
    return buffer[at] + 0


def be16(buffer: Sequence[int], at: int) -> int:
    """Read 16 bits in network order."""
    return buffer[at] * 256 + buffer[at + 1]


def copy_text(
    buffer: Sequence[int], at: int, length: int, text: MutableSequence[int], used: int
) -> int:
    """Copy a name in lower case; return its length, 0 when it is none."""
    if length < 1 or length > MAX_NAME:
        return 0
    for i in range(length):
        letter = u8(buffer, at + i)
        if letter < 0x21 or letter > 0x7E:
            return 0
        text[used + i] = letter + 32 if 65 <= letter <= 90 else letter
    return length


def copy_labels(
    buffer: Sequence[int], at: int, stop: int, text: MutableSequence[int], used: int
) -> tuple[int, int]:
    """Copy a DNS name with dots; return its length (0: none) and where it ends."""
    length = 0
    while at < stop:
        size = u8(buffer, at)
        at += 1
        if size == 0:
            return length, at
        if size > 63 or at + size > stop or length + size + 1 > MAX_NAME:
            return 0, stop
        if length:
            text[used + length] = 46
            length += 1
        if copy_text(buffer, at, size, text, used + length) == 0:
            return 0, stop
        length += size
        at += size
    return 0, stop


def after_name(buffer: Sequence[int], at: int, stop: int) -> int:
    """Return where a DNS name ends that may be compressed."""
    while at < stop:
        size = u8(buffer, at)
        if size >= 0xC0:
            return at + 2
        at += size + 1
        if size == 0:
            return at
    return stop


def server_name(buffer: Sequence[int], at: int, stop: int) -> tuple[int, int]:
    """Return where the SNI of a TLS client hello is, and its length (0: none, CUT: not yet)."""
    if (
        at + 44 > stop
        or u8(buffer, at) != 0x16
        or u8(buffer, at + 1) != 3
        or u8(buffer, at + 5) != 1
    ):
        return 0, 0
    missing = CUT if at + 5 + be16(buffer, at + 3) > stop else 0
    at += 43
    at += 1 + u8(buffer, at)  # session id
    if at + 2 > stop:
        return 0, missing
    at += 2 + be16(buffer, at)  # cipher suites
    if at + 1 > stop:
        return 0, missing
    at += 1 + u8(buffer, at) + 2  # compression methods, length of extensions
    while at + 4 <= stop:
        kind, size = be16(buffer, at), be16(buffer, at + 2)
        at += 4
        if kind == 0:
            if at + 5 > stop:
                return 0, missing
            length = be16(buffer, at + 3)
            return (at + 5, length) if at + 5 + length <= stop else (0, missing)
        at += size
    return 0, missing


def host_header(buffer: Sequence[int], at: int, stop: int) -> tuple[int, int]:
    """Return where the host of an HTTP request is, and its length without the port (0: none)."""
    if at + 16 > stop or u8(buffer, at) < 65 or u8(buffer, at) > 90:
        return 0, 0
    space = 0
    for i in range(3, 8):  # GET to OPTIONS
        if u8(buffer, at + i) == 32:
            space = i
            break
        if u8(buffer, at + i) < 65 or u8(buffer, at + i) > 90:
            return 0, 0
    if space == 0:
        return 0, 0
    stop = min(stop, at + HTTP_SEARCH)
    while at + 8 < stop:
        if (
            u8(buffer, at) == 10
            and u8(buffer, at + 1) | 32 == 104
            and u8(buffer, at + 2) | 32 == 111
            and u8(buffer, at + 3) | 32 == 115
            and u8(buffer, at + 4) | 32 == 116
            and u8(buffer, at + 5) == 58
        ):
            at += 6
            while at < stop and u8(buffer, at) == 32:
                at += 1
            length = 0
            while (
                at + length < stop
                and u8(buffer, at + length) > 32
                and u8(buffer, at + length) != 58
            ):
                length += 1
            return at, length
        at += 1
    return 0, 0


def add_found(
    found: MutableSequence[int], count: int, rows: MutableSequence[int], row: int, receiver: int, port: int, protocol: int,
    text: int, length: int,
) -> int:  # fmt: skip
    """Add a name for both ends of the packet; ``receiver`` is 1 where the client received it."""
    base = count * FOUND
    side = rows[row + SIDE] ^ receiver
    client, server = (B0, A0) if side else (A0, B0)
    found[base] = rows[row + TIME]
    for i in range(4):
        found[base + 1 + i] = rows[row + client + i]
        found[base + 5 + i] = rows[row + server + i]
    found[base + 9] = port
    found[base + 10] = protocol
    found[base + 11] = text
    found[base + 12] = length
    return count + 1


def dns_answers(
    buffer: Sequence[int],
    rows: MutableSequence[int],
    row: int,
    found: MutableSequence[int],
    count: int,
    text: MutableSequence[int],
    used: int,
) -> tuple[int, int]:
    """Add the addresses of a DNS answer; return how many are found then, and the text used."""
    at = rows[row + AT]
    stop = at + rows[row + CAPTURED]
    if (
        at + 12 > stop
        or u8(buffer, at + 2) & 0x80 == 0
        or u8(buffer, at + 3) & 0x0F
        or be16(buffer, at + 4) != 1
    ):
        return count, used
    answers = min(be16(buffer, at + 6), MAX_ANSWERS)
    length, at = copy_labels(buffer, at + 12, stop, text, used)
    if length == 0:
        return count, used
    at += 4
    before = count
    for _ in range(answers):
        at = after_name(buffer, at, stop)
        if at + 10 > stop:
            break
        kind, size = be16(buffer, at), be16(buffer, at + 8)
        at += 10
        if at + size > stop:
            break
        if (kind == TYPE_A and size == 4) or (kind == TYPE_AAAA and size == 16):
            count = add_found(found, count, rows, row, 1, 0, 0, used, length)
            base = (count - 1) * FOUND + 5
            for i in range(4):
                part = at + 4 * i if size == 16 else at
                word = be16(buffer, part) << 16 | be16(buffer, part + 2)
                if size == 4 and i < 3:
                    word = 0xFFFF if i == 2 else 0
                found[base + i] = word
        at += size
    return count, used + length if count > before else used


def slot_of(rows: MutableSequence[int], row: int) -> int:
    """Return the place of a connection among the waiting hellos."""
    ports = rows[row + PORTS]
    return (rows[row + A0 + 3] ^ rows[row + B0 + 3] ^ ports ^ ports >> 16) % SLOTS


def keep_piece(
    buffer: Sequence[int], rows: MutableSequence[int], row: int, hellos: MutableSequence[int], pieces: MutableSequence[int],
) -> None:  # fmt: skip
    """Keep the first segment of a client hello until the next one of its connection and side."""
    size = rows[row + CAPTURED]
    if size != rows[row + PAYLOAD] or size > HELLO_BYTES:
        return
    slot = slot_of(rows, row)
    base = slot * HELLO
    for i in range(_HELLO_USED):
        hellos[base + i] = rows[row + A0 + i]
    if hellos[base + _HELLO_USED] == 0:
        hellos[SLOTS * HELLO] += 1
    hellos[base + _HELLO_USED] = size
    for i in range(size):
        pieces[slot * HELLO_BYTES + i] = u8(buffer, rows[row + AT] + i)


def join_piece(
    buffer: Sequence[int], rows: MutableSequence[int], row: int, hellos: MutableSequence[int], pieces: MutableSequence[int],
) -> tuple[int, int]:  # fmt: skip
    """Add a segment to the hello that waits for it; return place and length of the name in ``pieces``."""
    slot = slot_of(rows, row)
    base = slot * HELLO
    used = hellos[base + _HELLO_USED]
    if used == 0:
        return 0, 0
    for i in range(_HELLO_USED):
        if hellos[base + i] != rows[row + A0 + i]:
            return 0, 0
    start = slot * HELLO_BYTES
    size = min(rows[row + CAPTURED], HELLO_BYTES - used)
    for i in range(size):
        pieces[start + used + i] = u8(buffer, rows[row + AT] + i)
    used += size
    place, length = server_name(pieces, start, start + used)
    if length == CUT and used < HELLO_BYTES and rows[row + CAPTURED] == rows[row + PAYLOAD]:
        hellos[base + _HELLO_USED] = used
        return 0, 0
    hellos[base + _HELLO_USED] = 0
    hellos[SLOTS * HELLO] -= 1
    return place, max(length, 0)


def find_names(
    buffer: Sequence[int],
    rows: MutableSequence[int],
    first: int,
    count: int,
    found: MutableSequence[int],
    text: MutableSequence[int],
    progress: MutableSequence[int],
    hellos: MutableSequence[int],
    pieces: MutableSequence[int],
) -> int:
    """Look for names in the packets from row ``first``; return how many were found.

    Stops early when ``found`` or ``text`` is nearly full; ``progress`` gets the
    next row and the text used. ``hellos`` and ``pieces`` hold the client hellos
    whose end has not come yet; the number behind the last one says how many.
    """
    names = 0
    used = 0
    at = first
    most = len(found) // FOUND - MAX_ANSWERS
    room = len(text) - 2 * MAX_NAME
    while at < count and names < most and used < room:
        row = at * STRIDE
        at += 1
        waiting = hellos[SLOTS * HELLO]
        if rows[row + CAPTURED] < 12 and (waiting == 0 or rows[row + CAPTURED] == 0):
            continue
        protocol = rows[row + META] & 0xFF
        low, high = rows[row + PORTS] >> 16, rows[row + PORTS] & 0xFFFF
        sender, receiver = (high, low) if rows[row + SIDE] else (low, high)
        if protocol == UDP and sender in (DNS_PORT, LLMNR_PORT):
            names, used = dns_answers(buffer, rows, row, found, names, text, used)
        elif protocol == TCP:
            start = rows[row + AT]
            stop = start + rows[row + CAPTURED]
            place, length = server_name(buffer, start, stop)
            if length == CUT:
                keep_piece(buffer, rows, row, hellos, pieces)
                continue
            if length == 0:
                place, length = host_header(buffer, start, stop)
            if length == 0 and waiting:
                place, length = join_piece(buffer, rows, row, hellos, pieces)
                length = copy_text(pieces, place, length, text, used)
            else:
                length = copy_text(buffer, place, length, text, used)
            if length:
                names = add_found(found, names, rows, row, 0, receiver, TCP, used, length)
                used += length
    progress[0] = at
    progress[1] = used
    return names
