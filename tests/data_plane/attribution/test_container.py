"""Container ids are read from control group paths of every common engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from beacon_detect.data_plane.attribution.container import (
    ContainerNames,
    container_in,
    container_of_listing,
)

ID = "3f4e1c2b" * 8
SHORT = ID[:12]
POD = "kubepods-burstable-pod9f3c1b2a_7d6e_4c5b_8a90_112233445566.slice"


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/user.slice/user-1000.slice/user@1000.service/app.slice/docker-{ID}.scope",
        f"/machine.slice/libpod-{ID}.scope",
        f"/machine.slice/libpod-{ID}.scope/container",
        f"/libpod_parent/libpod-{ID}",
        f"/kubepods.slice/kubepods-burstable.slice/{POD}/cri-containerd-{ID}.scope",
        f"/kubepods/burstable/pod9f3c1b2a-7d6e-4c5b-8a90-112233445566/{ID}",
        f"/kubepods.slice/kubepods-burstable.slice/{POD}/crio-{ID}.scope",
        f"/kubelet.slice/{POD}:cri-containerd:{ID}",
        f"/default/{ID}",
        f"/system.slice/nerdctl-{ID}.scope",
        f"/ecs/7c2f8d3e9a1b4c5d/{ID}",
        f"/docker/{ID}/system.slice/sshd.service",
        f"/../../docker-{ID}.scope",
    ],
)
def test_paths_of_container_engines(path: str) -> None:
    assert container_in(path) == SHORT


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/system.slice/sshd.service",
        "/user.slice/user-1000.slice/session-3.scope",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/system.slice/crio-conmon-{ID}.scope",
        f"/system.slice/{ID[:63]}",
        f"/system.slice/x{ID}y",
        f"/docker/{ID.upper()}",
    ],
)
def test_paths_without_a_container(path: str) -> None:
    assert container_in(path) == ""


def test_the_innermost_container_is_the_one_told() -> None:
    inner = "0123456789abcdef" * 4

    assert container_in(f"/docker/{ID}/docker/{inner}") == inner[:12]


def test_both_versions_of_the_listing() -> None:
    assert container_of_listing(f"0::/system.slice/docker-{ID}.scope\n") == SHORT
    assert container_of_listing(f"9:name=systemd:/\n4:memory:/docker/{ID}\n0::/\n") == SHORT
    assert container_of_listing("9:name=systemd:/\n0::/init.scope\n") == ""


def test_a_living_process_is_asked_first(tmp_path: Path) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "cgroup").write_text(f"0::/docker/{ID}\n")
    names = ContainerNames(proc=tmp_path, groups=tmp_path)

    assert names.of_process(77) == SHORT
    assert names.of_process(78) is None
    assert ContainerNames().of_process(os.getpid()) is not None


def test_a_group_id_is_found_below_its_container(tmp_path: Path) -> None:
    group = tmp_path / "system.slice" / f"docker-{ID}.scope" / "init"
    group.mkdir(parents=True)
    names = ContainerNames(groups=tmp_path)

    assert names.of_group(group.stat().st_ino) == SHORT
    assert names.of_group(group.parent.stat().st_ino) == SHORT
    assert names.of_group((tmp_path / "system.slice").stat().st_ino) == ""
    assert names.of_group(0) == ""


def test_unknown_groups_do_not_make_the_sensor_walk_again_and_again(tmp_path: Path) -> None:
    names = ContainerNames(groups=tmp_path)
    assert names.of_group(1) == ""
    late = tmp_path / f"docker-{ID}.scope"
    late.mkdir()

    assert names.of_group(late.stat().st_ino) == ""
