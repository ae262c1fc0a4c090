"""Loading and unloading the real programs, and the reasons why they do not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from beacon_detect.data_plane import program as program_module
from beacon_detect.data_plane.events import COUNTERS
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions, require_host
from beacon_detect.data_plane.ring import STRIDE
from beacon_detect.errors import KernelUnsupportedError
from kernel.packets import Route

SMALL = ProgramOptions(ring_bytes=4096, flow_map_size=1024)


@pytest.mark.root
def test_a_loaded_program_has_empty_maps() -> None:
    with KernelProgram.load(SMALL) as program:
        assert program.counters() == dict.fromkeys(COUNTERS, 0)
        assert len(program.ring.read()) == 0
        assert len(program.flows.snapshot()) == 0


@pytest.mark.root
def test_close_leaves_no_descriptor_and_can_be_repeated() -> None:
    def bpf_descriptors() -> list[str]:
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [name for name in (str(link.readlink()) for link in links) if "bpf" in name]

    before = bpf_descriptors()
    program = KernelProgram.load(SMALL)
    program.attach_host()
    program.close()
    program.close()

    assert bpf_descriptors() == before


@pytest.mark.root
def test_this_host_has_what_is_needed() -> None:
    require_host()
    require_host("lo")


@pytest.mark.root
def test_a_missing_interface_is_a_problem_of_the_host() -> None:
    with pytest.raises(KernelUnsupportedError, match="'nope'") as caught:
        require_host("nope")

    assert caught.value.hint


@pytest.mark.root
def test_a_missing_object_says_how_to_build_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program_module, "OBJECT_FILE", tmp_path / "beacon.bpf.o")

    with pytest.raises(KernelUnsupportedError, match="missing") as caught:
        KernelProgram.load(SMALL)

    assert "bpf/build.py" in caught.value.hint

    with pytest.raises(KernelUnsupportedError, match="missing"):
        require_host()


@pytest.mark.root
@pytest.mark.parametrize(("wanted", "given"), [(1, 4096), (4096, 4096), (5000, 8192)])
def test_the_size_of_the_ring_is_rounded_up(wanted: int, given: int) -> None:
    with KernelProgram.load(ProgramOptions(ring_bytes=wanted, flow_map_size=1024)) as program:
        assert program.ring.ring_bytes == given
        for port in range(200):
            program.test_run("link_ingress", Route(source_port=port + 1).udp(b"x"))
        events = program.ring.read()

        assert len(events) == given // STRIDE
        assert events["key"]["port_a"].tolist() == [port + 1 for port in range(len(events))]


@pytest.mark.root
def test_a_size_that_the_kernel_refuses_is_an_error() -> None:
    with pytest.raises(KernelUnsupportedError, match="loading the kernel programs failed"):
        KernelProgram.load(ProgramOptions(flow_map_size=0))


UNPRIVILEGED = """
import os
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions, require_host
from beacon_detect.errors import BeaconError
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for attempt in (lambda: require_host("nope"), lambda: KernelProgram.load(ProgramOptions())):
    try: attempt()
    except BeaconError as error: print(type(error).__name__, int(error.exit_code), repr(error.message))
"""


def test_without_rights_one_message_names_the_missing_capabilities() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED], capture_output=True, text=True, check=True
    )

    required, loaded = done.stdout.splitlines()
    assert "'nope'" in required
    assert required.count("CAP_BPF and CAP_NET_ADMIN and CAP_PERFMON") == 1
    assert loaded.startswith("PermissionMissingError 4 'this process lacks CAP_BPF")
