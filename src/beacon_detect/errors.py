"""The errors a user can meet, one class per reaction, and the exit codes they end a command with.

Each message says what is wrong, where, and what to do next; commands print it
without a traceback and leave with the error's exit code.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; documented in ``docs/reference/exit-codes.md``."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    PERMISSION = 4
    KERNEL = 5
    NOT_FOUND = 6
    FOUND = 10
    DATA = 65
    CONFIG = 78
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class BeaconError(Exception):
    """Root of the errors shown to users: a message, an optional hint, an exit code."""

    exit_code = ExitCode.FAILURE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConfigError(BeaconError):
    """The configuration is not usable; the message carries ``file:line:column`` where known."""

    exit_code = ExitCode.CONFIG


class PermissionMissingError(BeaconError):
    """A capability or file permission is missing."""

    exit_code = ExitCode.PERMISSION


class KernelUnsupportedError(BeaconError):
    """The kernel, its BTF, a library or an interface lacks what the sensor needs."""

    exit_code = ExitCode.KERNEL


class UnreachableError(BeaconError):
    """The control plane cannot be reached or does not answer as one."""

    exit_code = ExitCode.UNREACHABLE


class NotFoundError(BeaconError):
    """What was asked for does not exist."""

    exit_code = ExitCode.NOT_FOUND


class DataError(BeaconError):
    """Input that cannot be read as records; names the record or field at fault."""

    exit_code = ExitCode.DATA
