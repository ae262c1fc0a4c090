"""Large blocks leave resident memory when they are freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CHILD = """
import sys
import numpy as np
from beacon_detect.control_plane.allocator import return_large_blocks

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) >> 8

if sys.argv[1] == "fixed":
    assert return_large_blocks()
np.ones(30 << 20, np.uint8)  # freed at once: from here on glibc would keep smaller ones in the heap
before = resident()
columns, between = [], []
for _ in range(20):
    columns.append(np.ones(4 << 20, np.uint8))
    between.append(np.ones(100_000, np.uint8))
columns.clear()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is a call of glibc")
def test_memory_of_freed_columns_is_given_back() -> None:
    def left(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert left("fixed") < 20
    assert left("as it is") > 60
