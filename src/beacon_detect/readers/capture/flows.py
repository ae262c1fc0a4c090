"""Stage 3: the life of a connection, by the rules of ``bpf/flow.h`` and the sensor's sweep.

A flow is a run of :data:`STRIDE` integers in one flat column, found through
chained buckets. Silence ends a flow when its next packet comes, or when the
hand that visits two flows a packet finds it; so the table holds what is open
and little else. Every end becomes a row of ``out``, every burst too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.readers.capture.frames import (
    A0,
    FLAGS,
    ISN,
    META,
    PAYLOAD,
    PORTS,
    REPLY,
    SIDE,
    TCP,
    TIME,
)
from beacon_detect.readers.capture.frames import STRIDE as PACKET

if TYPE_CHECKING:
    from collections.abc import MutableSequence

KERNELS = (
    "bucket_of", "find", "unlink", "emit", "open_flow", "ended_by_syn", "patience_of", "finish",
    "revived", "add_packet", "follow", "visit", "follow_packets", "rehash", "finish_all",
)  # fmt: skip

(
    KEY_A0, KEY_A1, KEY_A2, KEY_A3, KEY_B0, KEY_B1, KEY_B2, KEY_B3, KEY_PORTS, KEY_META, NEXT, FIRST,
    LAST, BYTES_A, BYTES_B, PACKETS_A, PACKETS_B, FLAGS_A, FLAGS_B, OPENER, OUTCOME, ORIGIN,
    OPENING_ISN, USED,
) = range(24)  # fmt: skip
STRIDE = 24
OUT_KIND, OUT_TIME = NEXT, USED
"""In a row of ``out`` these two columns hold the record's kind and time."""

FREE, COUNT, TOP, HAND, DONE, STRAY, LATE, SEED = range(8)
"""Columns of ``state``: first free flow + 1, flows in use, flows ever used, the hand, packets done,
packets that belong to no connection (ends without a start, and late ones), 31 random bits."""
STATE = 8

UNKNOWN, ESTABLISHED, CLOSED, RESET, REFUSED, UNANSWERED, IDLE = range(7)
"""``records.Outcome``."""
OPENED, MIDSTREAM = 0, 1
"""``records.Origin``."""
BURST, CONNECTION = 2, 5
"""``records.Kind``."""
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

SYN_SILENCE = 60_000_000_000
LATE_DATA = 1_000_000_000
LINGER = 10_000_000_000
TCP_IDLE, OTHER_IDLE, NO_ANSWER, BURST_IDLE = range(4)
"""Columns of ``timeouts`` (ns)."""
MASK = 0xFFFFFFFF


def bucket_of(row: MutableSequence[int], at: int, buckets: int, seed: int) -> int:
    """Return the bucket of the ten key words at ``at``.

    A sum of products, so that the words do not wait for each other; seeded,
    so that nobody can make a capture whose connections share one bucket.
    """
    total = (
        (row[at] ^ seed) * 0x9E3779B1
        + (row[at + 1] ^ seed) * 0x85EBCA6B
        + (row[at + 2] ^ seed) * 0xC2B2AE35
        + (row[at + 3] ^ seed) * 0x27D4EB2F
        + (row[at + 4] ^ seed) * 0x165667B1
        + (row[at + 5] ^ seed) * 0xCC9E2D51
        + (row[at + 6] ^ seed) * 0x1B873593
        + (row[at + 7] ^ seed) * 0xE6546B65
        + (row[at + 8] ^ seed) * 0x2545F491
        + (row[at + 9] ^ seed) * 0x4F6CDD1D
    ) & MASK
    total = (total ^ total >> 15) * 0x7FEB352D & MASK
    return (total ^ total >> 16) & (buckets - 1)


def find(
    flows: MutableSequence[int],
    heads: MutableSequence[int],
    bucket: int,
    rows: MutableSequence[int],
    row: int,
) -> int:
    """Return where the packet's flow begins, or -1."""
    slot = heads[bucket]
    while slot:
        at = (slot - 1) * STRIDE
        same = True
        for i in range(KEY_META, -1, -1):  # ports differ sooner than addresses
            if flows[at + i] != rows[row + i]:
                same = False
                break
        if same:
            return at
        slot = flows[at + NEXT]
    return -1


def unlink(
    flows: MutableSequence[int], heads: MutableSequence[int], at: int, state: MutableSequence[int]
) -> None:
    """Take a flow out of its bucket and give its place back."""
    bucket = bucket_of(flows, at, len(heads), state[SEED])
    slot = at // STRIDE + 1
    if heads[bucket] == slot:
        heads[bucket] = flows[at + NEXT]
    else:
        before = (heads[bucket] - 1) * STRIDE
        while flows[before + NEXT] != slot:
            before = (flows[before + NEXT] - 1) * STRIDE
        flows[before + NEXT] = flows[at + NEXT]
    flows[at + USED] = 0
    flows[at + NEXT] = state[FREE]
    state[FREE] = slot
    state[COUNT] -= 1


def emit(
    flows: MutableSequence[int],
    at: int,
    out: MutableSequence[int],
    filled: int,
    kind: int,
    time: int,
) -> int:
    """Copy a flow into the next row of ``out``; return how many rows there are then."""
    base = filled * STRIDE
    for i in range(STRIDE):
        out[base + i] = flows[at + i]
    out[base + OUT_KIND] = kind
    out[base + OUT_TIME] = time
    return filled + 1


def open_flow(
    flows: MutableSequence[int],
    heads: MutableSequence[int],
    bucket: int,
    rows: MutableSequence[int],
    row: int,
    state: MutableSequence[int],
    opener: int,
) -> None:
    """Begin a flow with a packet; ``opener`` is the side known to be it, or -1."""
    if state[FREE]:
        slot = state[FREE]
        state[FREE] = flows[(slot - 1) * STRIDE + NEXT]
    else:
        state[TOP] += 1
        slot = state[TOP]
    state[COUNT] += 1
    at = (slot - 1) * STRIDE
    for i in range(A0, META + 1):
        flows[at + i] = rows[row + i]
    for i in range(FIRST, STRIDE):
        flows[at + i] = 0
    flows[at + USED] = 1
    flows[at + NEXT] = heads[bucket]
    heads[bucket] = slot
    flows[at + FIRST] = flows[at + LAST] = rows[row + TIME]
    side, reply = rows[row + SIDE], rows[row + REPLY]
    flows[at + OPENER] = 1 - side if reply else side
    if rows[row + META] & 0xFF == TCP:
        if rows[row + FLAGS] & SYN:
            flows[at + OPENING_ISN] = rows[row + ISN]
        else:
            # In the middle of it: the lower port is taken for the server's.
            flows[at + ORIGIN] = MIDSTREAM
            low, high = rows[row + PORTS] >> 16, rows[row + PORTS] & 0xFFFF
            if opener >= 0:
                flows[at + OPENER] = opener
            elif low != high:
                flows[at + OPENER] = 1 if low < high else 0
    if reply or flows[at + ORIGIN] == MIDSTREAM:
        flows[at + OUTCOME] = ESTABLISHED
    add_packet(flows, at, rows, row)


def add_packet(flows: MutableSequence[int], at: int, rows: MutableSequence[int], row: int) -> None:
    """Count a packet for the side that sent it."""
    side = rows[row + SIDE]
    flows[at + BYTES_A + side] += rows[row + PAYLOAD]
    flows[at + PACKETS_A + side] += 1
    flows[at + FLAGS_A + side] |= rows[row + FLAGS]


def ended_by_syn(flows: MutableSequence[int], at: int, rows: MutableSequence[int], row: int) -> int:
    """Say how a flow ended if this SYN opens a new one on its ports; UNKNOWN if it does not."""
    opener = flows[at + OPENER]
    if rows[row + SIDE] == opener and rows[row + ISN] == flows[at + OPENING_ISN]:
        return UNKNOWN  # sent again
    if flows[at + OUTCOME] > ESTABLISHED or (flows[at + FLAGS_A] | flows[at + FLAGS_B]) & FIN:
        return CLOSED
    if flows[at + OUTCOME] == UNKNOWN and rows[row + SIDE] == opener:
        return UNANSWERED
    # Otherwise it may be forged, and an open connection answers it with an ACK (RFC 5961).
    if flows[at + ORIGIN] != OPENED or rows[row + TIME] - flows[at + LAST] > SYN_SILENCE:
        return IDLE
    return UNKNOWN


def patience_of(flows: MutableSequence[int], at: int, timeouts: MutableSequence[int]) -> int:
    """Return how long the flow may be silent before it is over (ns)."""
    if flows[at + OUTCOME] > ESTABLISHED:
        return LINGER
    if flows[at + KEY_META] & 0xFF != TCP:
        return timeouts[OTHER_IDLE]
    return timeouts[TCP_IDLE] if flows[at + OUTCOME] == ESTABLISHED else timeouts[NO_ANSWER]


def finish(
    flows: MutableSequence[int], at: int, out: MutableSequence[int], filled: int, outcome: int
) -> int:
    """End a flow once; return the rows of ``out``."""
    if flows[at + OUTCOME] > ESTABLISHED:
        return filled
    flows[at + OUTCOME] = outcome
    return emit(flows, at, out, filled, CONNECTION, flows[at + FIRST])


def revived(flows: MutableSequence[int], at: int, rows: MutableSequence[int], row: int) -> bool:
    """Say whether this is new data long after the end: the RST was forged, or for somebody else."""
    sent = flows[at + FLAGS_A + rows[row + SIDE]]
    return (
        rows[row + PAYLOAD] > 0
        and rows[row + FLAGS] & (SYN | FIN | RST) == 0
        and sent & FIN == 0
        and rows[row + TIME] - flows[at + LAST] > LATE_DATA
    )


def follow(
    flows: MutableSequence[int], heads: MutableSequence[int], bucket: int, at: int, rows: MutableSequence[int], row: int, state: MutableSequence[int], timeouts: MutableSequence[int],
    out: MutableSequence[int], filled: int,
) -> int:  # fmt: skip
    """Count a packet in its flow, or end the flow with it; return the rows of ``out``."""
    now = rows[row + TIME]
    flags = rows[row + FLAGS]
    side = rows[row + SIDE]
    if flags & (SYN | ACK | FIN | RST) == SYN:
        outcome = ended_by_syn(flows, at, rows, row)
        if outcome:
            filled = finish(flows, at, out, filled, outcome)
            unlink(flows, heads, at, state)
            open_flow(flows, heads, bucket, rows, row, state, -1)
            return filled
    if flows[at + OUTCOME] > ESTABLISHED:
        if revived(flows, at, rows, row):
            opener = flows[at + OPENER]
            unlink(flows, heads, at, state)
            open_flow(flows, heads, bucket, rows, row, state, opener)
        else:
            state[LATE] += 1
        return filled
    is_tcp = rows[row + META] & 0xFF == TCP
    add_packet(flows, at, rows, row)
    answers = side != flows[at + OPENER] or (is_tcp and flags & SYN == 0)
    if flows[at + OUTCOME] == UNKNOWN and flags & RST == 0 and answers:
        flows[at + OUTCOME] = ESTABLISHED
    active = rows[row + PAYLOAD] > 0 or not is_tcp
    if active and now - flows[at + LAST] > timeouts[BURST_IDLE]:
        filled = emit(flows, at, out, filled, BURST, now)
        out[(filled - 1) * STRIDE + LAST] = now
    flows[at + LAST] = max(flows[at + LAST], now)
    if flags & RST:
        refused = flows[at + OUTCOME] == UNKNOWN and side != flows[at + OPENER]
        return finish(flows, at, out, filled, REFUSED if refused else RESET)
    if flows[at + FLAGS_A] & flows[at + FLAGS_B] & FIN:
        return finish(flows, at, out, filled, CLOSED)
    return filled


def visit(
    flows: MutableSequence[int],
    heads: MutableSequence[int],
    state: MutableSequence[int],
    timeouts: MutableSequence[int],
    now: int,
    out: MutableSequence[int],
    filled: int,
) -> int:
    """Let the hand look at the next flow, and end and remove it if it was silent too long."""
    if state[HAND] >= state[TOP]:
        state[HAND] = 0
    at = state[HAND] * STRIDE
    state[HAND] += 1
    if flows[at + USED] and now - flows[at + LAST] > patience_of(flows, at, timeouts):
        silent = IDLE if flows[at + OUTCOME] == ESTABLISHED else UNANSWERED
        filled = finish(flows, at, out, filled, silent)
        unlink(flows, heads, at, state)
    return filled


def follow_packets(
    rows: MutableSequence[int],
    first: int,
    count: int,
    flows: MutableSequence[int],
    heads: MutableSequence[int],
    state: MutableSequence[int],
    timeouts: MutableSequence[int],
    out: MutableSequence[int],
) -> int:
    """Follow the packets from row ``first``; return the rows of ``out``.

    Stops early when ``out`` or ``flows`` has no room for one more packet;
    ``state[DONE]`` says how many of the rows were taken.
    """
    filled = 0
    room = len(out) // STRIDE - 5
    most = len(flows) // STRIDE - 2
    done = first
    seed = state[SEED]
    while done < count and filled < room and (state[FREE] or state[TOP] < most):
        row = done * PACKET
        bucket = bucket_of(rows, row, len(heads), seed)
        at = find(flows, heads, bucket, rows, row)
        now = rows[row + TIME]
        if at >= 0 and now - flows[at + LAST] > patience_of(flows, at, timeouts):
            silent = IDLE if flows[at + OUTCOME] == ESTABLISHED else UNANSWERED
            filled = finish(flows, at, out, filled, silent)
            unlink(flows, heads, at, state)
            at = -1
        if at >= 0:
            filled = follow(flows, heads, bucket, at, rows, row, state, timeouts, out, filled)
        elif rows[row + FLAGS] & (FIN | RST):
            state[STRAY] += 1
        else:
            open_flow(flows, heads, bucket, rows, row, state, -1)
        # Two at a time: at one, the hand never overtakes a table that grows by one.
        if state[TOP]:
            filled = visit(flows, heads, state, timeouts, now, out, filled)
            filled = visit(flows, heads, state, timeouts, now, out, filled)
        done += 1
    state[DONE] = done
    return filled


def rehash(
    flows: MutableSequence[int], heads: MutableSequence[int], state: MutableSequence[int]
) -> None:
    """Put every flow into its bucket again, after ``heads`` was replaced by a longer, empty one."""
    for slot in range(1, state[TOP] + 1):
        at = (slot - 1) * STRIDE
        if flows[at + USED]:
            bucket = bucket_of(flows, at, len(heads), state[SEED])
            flows[at + NEXT] = heads[bucket]
            heads[bucket] = slot


def finish_all(
    flows: MutableSequence[int], state: MutableSequence[int], out: MutableSequence[int], start: int
) -> int:
    """Report what is open at the end of the capture from flow ``start`` on; as it stands, not ended.

    Returns the rows of ``out``; ``state[DONE]`` says where to go on.
    """
    filled = 0
    slot = start
    while slot < state[TOP] and filled < len(out) // STRIDE:
        at = slot * STRIDE
        if flows[at + USED] and flows[at + OUTCOME] <= ESTABLISHED:
            filled = emit(flows, at, out, filled, CONNECTION, flows[at + FIRST])
        slot += 1
    state[DONE] = slot
    return filled
