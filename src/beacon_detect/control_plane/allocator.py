"""Makes the C allocator give large blocks back to the system as soon as they are free.

glibc raises the size from which it maps blocks separately to that of the
largest one freed so far (up to 32 MiB); from then on columns of that size live
in the heap and stay resident long after they are gone. A fixed size keeps the
server about 60 MiB smaller at 5 million records (``benchmarks/memory.py``).
Limit: glibc only; other C libraries have no such call and are left alone.
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
"""Parameter of mallopt(3), from glibc's malloc.h."""

LARGE_BLOCK_BYTES = 1 << 22
"""Large enough that request bodies and batches are not mapped and cleared anew each time (which
cost a tenth of the intake's CPU time at 1 MiB), small enough for the columns of the working set."""


def return_large_blocks() -> bool:
    """Map blocks of :data:`LARGE_BLOCK_BYTES` and more on their own; return whether it was done.

    Holds for the whole process; call once, at the start.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES))
