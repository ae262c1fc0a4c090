"""Failures of libbpf become errors that say what is wrong and what to do."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from beacon_detect.data_plane import libbpf
from beacon_detect.data_plane.libbpf import KernelCallError, explain, library, program_name
from beacon_detect.errors import KernelUnsupportedError, PermissionMissingError


def test_the_library_is_loaded_once() -> None:
    assert library() is library()


def test_a_null_result_is_an_error_with_its_errno(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing.o").encode()

    with pytest.raises(KernelCallError) as caught:
        library().call("bpf_object__open_file", missing, None)

    assert caught.value.number == errno.ENOENT


def test_a_negative_result_is_an_error_with_its_errno() -> None:
    with pytest.raises(KernelCallError) as caught:
        library().call("bpf_map_delete_elem", -1, None)

    assert caught.value.number == errno.EBADF
    assert library().try_call("bpf_map_delete_elem", -1, None) == errno.EBADF


def test_what_libbpf_prints_is_kept_for_the_message(tmp_path: Path) -> None:
    broken = tmp_path / "broken.o"
    broken.write_bytes(b"not an object")
    library().log.clear()

    with pytest.raises(KernelCallError) as caught:
        library().call("bpf_object__open_file", str(broken).encode(), None)
    error = explain(caught.value, "opening the object")

    assert isinstance(error, KernelUnsupportedError)
    assert "opening the object failed" in error.message
    assert "broken.o" in error.message
    assert "5.10" in error.hint


def test_a_refusal_for_want_of_rights_names_the_capabilities() -> None:
    library().log.clear()
    error = explain(KernelCallError("bpf_object__load", errno.EPERM), "loading")

    assert isinstance(error, PermissionMissingError)
    assert "CAP_BPF" in error.hint


def test_a_refusal_by_the_verifier_is_no_want_of_rights() -> None:
    library().log[:] = ["R1 invalid mem access", "processed 10 insns (limit 1000000)"]
    error = explain(KernelCallError("bpf_object__load", errno.EACCES), "loading")
    library().log.clear()

    assert isinstance(error, KernelUnsupportedError)
    assert "R1 invalid mem access" in error.message


def test_the_log_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(libbpf, "LOG_LINES", 5)
    library().log.clear()
    for number in range(9):
        library().try_call("bpf_object__open_file", str(tmp_path / f"no{number}.o").encode(), None)

    assert len(library().log) == 5
    assert "no8.o" in library().log[-1]
    library().log.clear()


@pytest.mark.parametrize(
    ("name", "reason"), [("libnothing.so.9", "cannot load"), ("libc.so.6", "too old")]
)
def test_a_missing_or_old_library_says_what_to_install(name: str, reason: str) -> None:
    code = f"""
from beacon_detect.data_plane import libbpf
libbpf.LIBRARY = {name!r}
try: libbpf.library()
except Exception as error: print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("KernelUnsupportedError")
    assert reason in done.stdout
    assert "libbpf" in done.stdout


@pytest.mark.root
def test_a_program_that_is_gone_has_no_name() -> None:
    assert program_name(0xFFFFFFF) == ""
