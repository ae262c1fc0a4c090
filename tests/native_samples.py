"""Plain functions with everything that may be lowered, for the tests of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

KERNELS = (
    "operations", "comparisons", "choices", "loops", "pair", "swapped", "fill", "copy", "early", "nested",
    "widths",
)  # fmt: skip
SEVEN = 7


def operations(a: int, b: int) -> tuple[int, int, int, int, int, int]:
    """Arithmetic, with division towards minus infinity."""
    d = b or SEVEN
    return a // d, a % d, a * 3 - b, (a ^ b) & 0xFF | 1, -a + (a >> 3), (b & 15) << 4


def comparisons(a: int, b: int) -> tuple[int, int, int, int]:
    """Chains, membership, and truth as a number."""
    inside = 0 <= a <= b
    known = a in (1, 2, SEVEN) or b not in (3, -4)
    return inside, known, not a, (a == b and b != 5) or a > 9


def choices(a: int, b: int) -> int:
    """Every kind of branch."""
    if a > b and (b > 0 or a < -5):
        return min(a, b) if a % 2 else max(a, SEVEN)
    if not (a or b):
        return 1 if a == 0 else 2
    found = 3
    if a < 0:
        found = -1
    return found


def loops(a: int, b: int) -> int:
    """Loops that end in the middle, skip, and count down."""
    total = 0
    for i in range(a & 15):
        if i == b & 7:
            continue
        if total > 40:
            break
        total += i
    for i in range(9, b & 3, -2):
        total = total * 2 + i
    at = 0
    while at < 5:
        at += 1
        if at == 4:
            break
        for _ in range(2, a & 7):
            total -= 1
    return total + at


def pair(a: int, b: int) -> tuple[int, int]:
    """A tuple that depends."""
    return (a, b) if a > b else (b, a + 1)


def swapped(a: int, b: int) -> tuple[int, int]:
    """Unpacking of calls, tuples and conditions."""
    a, b = b, a
    low, high = pair(a, b)
    x, y = (low, 1) if high > 3 else (2, high)
    a = c = x + y
    return a * high, c - low


def fill(column: MutableSequence[int], text: MutableSequence[int], value: int) -> None:
    """Elements of both widths, also added to."""
    for i in range(len(column)):
        column[i] = column[i] + value if i else value
    for i in range(len(text)):
        text[i] = value + i & 0xFF
        text[i] ^= 1


def copy(raw: Sequence[int], column: MutableSequence[int]) -> int:
    """Columns passed on; the result of a call that gives nothing is left."""
    fill(column, raw, 5)  # type: ignore[arg-type]
    return column[0] + raw[len(raw) - 1] if len(raw) else -1


def early(column: Sequence[int], wanted: int) -> int:
    """A search that must not look behind the end."""
    at = 0
    while at < len(column) and column[at] != wanted:
        at += 1
    return at


def nested(a: int, b: int) -> int:
    """Conditions within conditions within calls."""
    return max(a if b else min(a, 3), choices(b, a) if a > 2 or not b else -b)


def widths(ends: MutableSequence[int], value: int) -> int:
    """A column of 32 bits with a sign."""
    ends[0] = value
    return ends[0] + (1 if ends[0] < 0 else 0)
