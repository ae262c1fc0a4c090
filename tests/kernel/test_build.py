"""The object is built the same everywhere, and old kernels know every instruction in it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from ctypes import byref, c_uint32, sizeof
from pathlib import Path
from types import ModuleType

import pytest

from beacon_detect.data_plane.libbpf import ProgramInfo, library
from beacon_detect.data_plane.program import OBJECT_FILE, KernelProgram, ProgramOptions
from kernel.btf import sections

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "bpf" / "build.py"

CODE = ("cgroup", "tc")
ATOMIC, ADD, FETCH = 0xC3, 0x00, 0x01
"""BPF_STX | BPF_ATOMIC without its size; its operations (Documentation/bpf/instruction-set)."""
HELPERS_OF_5_10 = 155
"""Helpers numbered above came later (include/uapi/linux/bpf.h of Linux 5.10)."""
INSTRUCTION_BUDGET = 100_000
"""Of the million that the verifier walks; 5.10 prunes less well than the newest."""


@pytest.fixture
def build_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bpf_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_builds_in_different_places_are_the_same_bytes(
    build_module: ModuleType, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "bpf", tmp_path / "elsewhere")
    build_module.build(tmp_path / "here.o")
    build_module.BPF = tmp_path / "elsewhere"
    build_module.build(tmp_path / "there.o")

    assert (tmp_path / "here.o").read_bytes() == (tmp_path / "there.o").read_bytes()
    assert str(ROOT).encode() not in (tmp_path / "here.o").read_bytes()


def test_a_source_that_does_not_compile_is_explained(
    build_module: ModuleType, tmp_path: Path
) -> None:
    broken = tmp_path / "bpf"
    shutil.copytree(ROOT / "bpf", broken)
    (broken / "flow.h").write_text("nonsense;\n")
    build_module.BPF = broken

    with pytest.raises(build_module.BuildError, match=r"flow\.h:1"):
        build_module.build(tmp_path / "beacon.bpf.o")
    assert not (tmp_path / "beacon.bpf.o").exists()


def test_a_missing_compiler_is_explained(
    build_module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))

    with pytest.raises(build_module.BuildError, match="pip install ziglang"):
        build_module.build(tmp_path / "beacon.bpf.o")


def test_the_command_ends_with_its_error(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "bpf", tmp_path / "bpf")
    (tmp_path / "bpf" / "flow.h").write_text("nonsense;\n")
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bpf" / "build.py")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("error: the kernel programs do not compile")


def test_a_fresh_object_is_not_built_again(build_module: ModuleType, tmp_path: Path) -> None:
    build_module.OBJECT = tmp_path / "beacon.bpf.o"
    assert build_module.is_stale()
    build_module.OBJECT.write_bytes(b"")

    assert not build_module.is_stale()


def instructions() -> Iterator[tuple[int, int, int]]:
    """Yield (opcode, source register, immediate) of every instruction."""
    for name, code in sections(OBJECT_FILE).items():
        if name.split("/")[0].startswith(CODE):
            for at in range(0, len(code), 8):
                immediate = int.from_bytes(code[at + 4 : at + 8], "little")
                yield code[at], code[at + 1] >> 4, immediate


def test_every_atomic_is_the_plain_add_that_kernels_before_5_12_know() -> None:
    atomics = [immediate for opcode, _, immediate in instructions() if opcode & 0xE7 == ATOMIC]

    assert len(atomics) > 20
    assert set(atomics) == {ADD}


def test_every_helper_is_one_that_linux_5_10_has() -> None:
    called = {imm for opcode, source, imm in instructions() if opcode == 0x85 and source == 0}

    assert 1 in called
    assert max(called) <= HELPERS_OF_5_10


def test_no_type_of_the_running_kernel_is_needed() -> None:
    """CO-RE relocations would ask for the kernel's BTF: the third table of .BTF.ext is empty."""
    header = sections(OBJECT_FILE)[".BTF.ext"]
    core_relocations = int.from_bytes(header[28:32], "little")

    assert core_relocations == 0


@pytest.mark.root
def test_the_verifier_walks_far_fewer_instructions_than_it_may() -> None:
    names = ("host_ingress", "host_egress", "link_ingress", "link_egress_l3")
    with KernelProgram.load(ProgramOptions(ring_bytes=4096, flow_map_size=1024)) as program:
        for name in names:
            info, size = ProgramInfo(), c_uint32(sizeof(ProgramInfo))
            descriptor = program._program(name)
            library().call("bpf_obj_get_info_by_fd", descriptor, byref(info), byref(size))

            assert 0 < info.verified_insns < INSTRUCTION_BUDGET
