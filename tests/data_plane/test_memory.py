"""Large blocks go back to the kernel when they are freed."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from pathlib import Path
from beacon_detect.data_plane.memory import stay_small

def resident():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024

stay_small()
import numpy as np, pyarrow as pa
assert pa.default_memory_pool().backend_name == "system"
for size in (2, 4, 8, 16):
    np.ones(size << 20, np.uint8)  # without the setting, glibc's threshold follows these
before = resident()
kept = []
for _ in range(20):
    columns = [np.ones(1 << 20, np.uint8) for _ in range(8)]
    kept.append(np.ones(1000, np.uint8))  # holds down what a heap would want to give back
    pool = pa.allocate_buffer(8 << 20)
    del columns, pool
print(resident() - before)
"""


def test_a_busy_process_stays_small() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2
