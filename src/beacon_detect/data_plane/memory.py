"""Keeps the sensor's resident memory near what it uses.

Columns come and go by the megabyte. The allocators of Arrow and of the C
library keep such blocks for later, which here doubled the memory of a busy
sensor and never gave it back. Asked to, both return large blocks to the
kernel at once, at the price of some page faults.
"""

from __future__ import annotations

import ctypes
import os

LARGE_BLOCK = 256 * 1024
"""Bytes from which a block is given back when it is freed."""
ARENAS = 2
"""Heaps shared by the threads; each keeps some memory of its own."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Parameters of mallopt(3)."""


def stay_small() -> None:
    """Set up both allocators; to be called before PyArrow is imported."""
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return  # musl gives large blocks back by itself
    # Setting the threshold also ends its growth, by which glibc would keep ever larger blocks.
    mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
    mallopt(_M_ARENA_MAX, ARENAS)
