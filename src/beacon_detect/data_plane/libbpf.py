"""The distribution's libbpf through ctypes: only the calls that the sensor makes.

There is no Python binding to depend on, and libbpf's C interface is stable
within its major version, so ``libbpf.so.1`` is called directly. Failed calls
raise :class:`KernelCallError` with the errno; the text that libbpf and the
kernel's verifier print is captured and kept for the message.
"""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char_p,
    c_int,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache
from typing import Any, Final

from beacon_detect.errors import BeaconError, KernelUnsupportedError, PermissionMissingError

LIBRARY: Final = "libbpf.so.1"
LOG_LINES: Final = 4000
"""Most lines of libbpf output kept; a refused program prints its whole verification."""
_LOG_BYTES: Final = 1 << 24  # libbpf's own limit for the verifier's text, whose end matters
HINT_LINES: Final = 12
"""Lines of it shown in an error message."""


class LinkCreateOptions(Structure):
    """``struct bpf_link_create_opts`` up to the flags."""

    _fields_ = (
        ("sz", c_size_t),
        ("flags", c_uint32),
        ("pad", c_uint32),
    )


class TcHook(Structure):
    """``struct bpf_tc_hook``: an interface and a direction."""

    _fields_ = (
        ("sz", c_size_t),
        ("ifindex", c_int),
        ("attach_point", c_int),
        ("parent", c_uint32),
        ("pad", c_uint32),
    )


class TcOptions(Structure):
    """``struct bpf_tc_opts``: one filter, identified by handle and priority."""

    _fields_ = (
        ("sz", c_size_t),
        ("prog_fd", c_int),
        ("flags", c_uint32),
        ("prog_id", c_uint32),
        ("handle", c_uint32),
        ("priority", c_uint32),
        ("pad", c_uint32),
    )


class TestRunOptions(Structure):
    """``struct bpf_test_run_opts``: one packet through one program."""

    _fields_ = (
        ("sz", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    )


class ProgramInfo(Structure):
    """``struct bpf_prog_info``; kernels fill as much of it as they have."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", ctypes.c_char * 16),
        ("rest", ctypes.c_uint8 * 136),
        ("verified_insns", c_uint32),
        ("attach_btf_obj_id", c_uint32),
        ("attach_btf_id", c_uint32),
    )


_PRINT_WARN = 0  # enum libbpf_print_level; refusals come with it
_PRINT = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)

# Result and arguments; an int result is negative, a pointer NULL, on failure.
_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "libbpf_set_print": (c_void_p, (_PRINT,)),
    "bpf_object__open_file": (c_void_p, (c_char_p, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__find_map_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_object__find_program_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__max_entries": (c_uint32, (c_void_p,)),
    "bpf_map__set_max_entries": (c_int, (c_void_p, c_uint32)),
    "bpf_map__set_initial_value": (c_int, (c_void_p, c_void_p, c_size_t)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_link_create": (c_int, (c_int, c_int, c_int, POINTER(LinkCreateOptions))),
    "bpf_tc_hook_create": (c_int, (POINTER(TcHook),)),
    "bpf_tc_attach": (c_int, (POINTER(TcHook), POINTER(TcOptions))),
    "bpf_tc_detach": (c_int, (POINTER(TcHook), POINTER(TcOptions))),
    "bpf_tc_query": (c_int, (POINTER(TcHook), POINTER(TcOptions))),
    "bpf_prog_get_fd_by_id": (c_int, (c_uint32,)),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, c_void_p, POINTER(c_uint32))),
    "bpf_prog_test_run_opts": (c_int, (c_int, POINTER(TestRunOptions))),
    "bpf_map_create": (c_int, (c_int, c_char_p, c_uint32, c_uint32, c_uint32, c_void_p)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_update_elem": (c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    "bpf_map_delete_elem": (c_int, (c_int, c_void_p)),
    "bpf_map_get_next_key": (c_int, (c_int, c_void_p, c_void_p)),
    "bpf_map_lookup_batch": (
        c_int,
        (c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_uint32), c_void_p),
    ),
    "bpf_map_delete_batch": (c_int, (c_int, c_void_p, POINTER(c_uint32), c_void_p)),
}


class KernelCallError(Exception):
    """A libbpf call failed; ``number`` is the errno."""

    def __init__(self, call: str, number: int) -> None:
        super().__init__(f"{call}: {os.strerror(number)}")
        self.call = call
        self.number = number


class Libbpf:
    """The loaded library: checked calls and its captured output."""

    def __init__(self, handle: ctypes.CDLL) -> None:
        self._functions: dict[str, Any] = {}
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(handle, name)
            function.restype = result
            function.argtypes = arguments
            self._functions[name] = function
        self.log: list[str] = []
        # Both must live as long as libbpf may print.
        self._format = ctypes.CDLL(None).vsnprintf
        self._format.argtypes = (c_char_p, c_size_t, c_char_p, c_void_p)
        self._print = _PRINT(self._keep)
        self._functions["libbpf_set_print"](self._print)

    def _keep(self, level: int, text: bytes, arguments: int) -> int:
        # va_list is passed by address on x86-64 and arm64, so a pointer carries it on.
        if level == _PRINT_WARN:
            buffer = ctypes.create_string_buffer(_LOG_BYTES)
            self._format(buffer, len(buffer), text, arguments)
            self.log.extend(buffer.value.decode(errors="replace").splitlines())
            del self.log[:-LOG_LINES]
        return 0

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function; KernelCallError when it returns NULL or a negative number."""
        function = self._functions[name]
        ctypes.set_errno(0)
        result = function(*arguments)
        if function.restype is c_void_p and not result:
            raise KernelCallError(name, ctypes.get_errno() or errno.EINVAL)
        if function.restype is c_int and result < 0:
            # libbpf 1.x returns -errno; a raw -1 leaves it in errno.
            raise KernelCallError(name, ctypes.get_errno() or -result)
        return result

    def try_call(self, name: str, *arguments: Any) -> int:
        """Call a function; return 0 or the errno."""
        try:
            self.call(name, *arguments)
        except KernelCallError as error:
            return error.number
        return 0


@cache
def library() -> Libbpf:
    """Return the loaded library.

    Raises
    ------
    KernelUnsupportedError
        ``libbpf.so.1`` is not installed, or too old.
    """
    hint = "install it: apt-get install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora, RHEL)"
    try:
        return Libbpf(ctypes.CDLL(LIBRARY, use_errno=True))
    except OSError as error:
        raise KernelUnsupportedError(f"cannot load {LIBRARY}: {error}", hint=hint) from error
    except AttributeError as error:
        raise KernelUnsupportedError(
            f"{LIBRARY} is too old for the sensor: {error}", hint="libbpf 1.0 or newer is needed"
        ) from error


def explain(error: KernelCallError, doing: str) -> BeaconError:
    """Return the error to show for a failed call.

    Parameters
    ----------
    error
        The failed call.
    doing
        What was being done, for the message ("loading the kernel programs").
    """
    tail = [line for line in library().log if line.strip()][-HINT_LINES:]
    message = f"{doing} failed: {os.strerror(error.number)}"
    if error.number in {errno.EPERM, errno.EACCES} and not _verifier_spoke(tail):
        return PermissionMissingError(
            message,
            hint="run as root, or with the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON;"
            " in a container also check its seccomp profile and the sysctl"
            " kernel.unprivileged_bpf_disabled",
        )
    detail = "\n".join(f"    {line}" for line in tail)
    return KernelUnsupportedError(
        f"{message}\n{detail}" if detail else message,
        hint=f"the sensor needs Linux 5.10 or newer with CONFIG_BPF_SYSCALL and"
        f" CONFIG_CGROUP_BPF; this is {os.uname().release}",
    )


def _verifier_spoke(lines: list[str]) -> bool:
    """Tell a program the verifier refused (also EACCES) from a missing capability."""
    return any("processed " in line and "insns" in line for line in lines)


def program_name(program_id: int) -> str:
    """Return the name of a loaded program ('' when it is gone)."""
    bpf = library()
    info, size = ProgramInfo(), c_uint32(ctypes.sizeof(ProgramInfo))
    try:
        descriptor = bpf.call("bpf_prog_get_fd_by_id", program_id)
    except KernelCallError:
        return ""
    try:
        bpf.call("bpf_obj_get_info_by_fd", descriptor, byref(info), byref(size))
    finally:
        os.close(descriptor)
    return bytes(info.name).decode()
