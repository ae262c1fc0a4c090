"""Finding where to hang the programs. Real attachments are tested in ``tests/kernel``."""

from __future__ import annotations

from pathlib import Path

import pytest

from beacon_detect.data_plane.attachment import find_cgroup_root, hardware_type, interface_index
from beacon_detect.errors import KernelUnsupportedError

TABLE = "\n".join(
    [
        "22 28 0:21 / /proc rw,nosuid - proc proc rw",
        "30 25 0:26 {root} {point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
        "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
    ]
)


def mounts(tmp_path: Path, text: str) -> Path:
    table = tmp_path / "mountinfo"
    table.write_text(text)
    return table


@pytest.mark.parametrize("point", ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/run/cgroup2"])
def test_the_cgroup_root_is_where_it_is_mounted(tmp_path: Path, point: str) -> None:
    table = mounts(tmp_path, TABLE.format(root="/", point=point))

    assert find_cgroup_root(table) == Path(point)


def test_escaped_spaces_in_a_mount_point_are_read(tmp_path: Path) -> None:
    table = mounts(tmp_path, TABLE.format(root="/", point="/mnt/a\\040b"))

    assert find_cgroup_root(table) == Path("/mnt/a b")


def test_the_root_of_the_hierarchy_is_preferred_to_a_part_of_it(tmp_path: Path) -> None:
    part = TABLE.format(root="/docker/1", point="/c")
    whole = TABLE.format(root="/", point="/host/sys/fs/cgroup")

    assert find_cgroup_root(mounts(tmp_path, f"{part}\n{whole}")) == Path("/host/sys/fs/cgroup")


def test_without_cgroup_v2_the_error_says_how_to_mount_it(tmp_path: Path) -> None:
    table = mounts(tmp_path, "31 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu")

    with pytest.raises(KernelUnsupportedError, match="no cgroup v2") as caught:
        find_cgroup_root(table)

    assert "mount -t cgroup2" in caught.value.hint


def test_a_missing_interface_is_named_with_the_ones_there_are() -> None:
    with pytest.raises(KernelUnsupportedError, match="'nope'") as caught:
        hardware_type("nope")

    assert "lo" in caught.value.hint


def test_the_loopback_interface_is_known() -> None:
    assert interface_index("lo") == 1
    assert hardware_type("lo") == 772
