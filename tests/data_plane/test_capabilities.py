"""What the sensor may do is read from the process, not guessed from the user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from beacon_detect.data_plane.capabilities import effective_capabilities, missing_capabilities

NET_ADMIN, SYS_ADMIN, PERFMON, BPF = 1 << 12, 1 << 21, 1 << 38, 1 << 39


@pytest.mark.parametrize(
    ("mask", "missing"),
    [
        (0, ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]),
        (BPF | NET_ADMIN | PERFMON, []),
        (SYS_ADMIN | NET_ADMIN, []),
        (SYS_ADMIN, ["CAP_NET_ADMIN"]),
        (BPF | NET_ADMIN, ["CAP_PERFMON"]),
    ],
)
def test_what_is_missing_is_named(mask: int, missing: list[str]) -> None:
    assert missing_capabilities(mask) == missing


def test_the_kernel_is_asked_about_this_process() -> None:
    mask = effective_capabilities(Path("/proc/self/status").read_text("ascii"))

    assert missing_capabilities() == missing_capabilities(mask)
    if os.geteuid() != 0:
        assert missing_capabilities()
