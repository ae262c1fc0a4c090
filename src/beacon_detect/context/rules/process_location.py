"""Where the program lies: installed software does not run from temporary folders.

Paths are what the kernel says of ``/proc/PID/exe``: `` (deleted)`` marks a file
that is gone, ``/memfd:`` one that never was on disk. Limit: an upgraded package
leaves deleted binaries running as well, so system folders count for less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_DELETED = " (deleted)"
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/", "/run/shm/", "/dev/mqueue/")  # noqa: S108 (names, not used as files)
_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/opt/", "/snap/", "/nix/")
_USUAL_HIDDEN = frozenset({
    ".local", ".cargo", ".rustup", ".venv", ".nvm", ".npm", ".pyenv", ".rbenv", ".asdf", ".config",
    ".cache", ".vscode", ".vscode-server", ".cursor-server", ".dotnet", ".deno", ".bun", ".steam",
    ".nix-profile", ".mozilla", ".tox", ".sdkman", ".jdks",
})  # fmt: skip
"""Hidden folders that package managers and editors install programs into."""


def _judge(facts: Facts) -> tuple[float, str] | None:
    if not facts.executable:
        return None
    gone = facts.executable.endswith(_DELETED)
    path = facts.executable.removesuffix(_DELETED)
    if path.startswith("/memfd:"):
        return 0.4, "the program runs from memory; it has no file"
    if path.startswith(_TEMPORARY):
        where = path.rpartition("/")[0]
        also = ", and its file is deleted" if gone else ""
        return (0.4 if gone else 0.3), f"the program runs from the temporary folder {where}{also}"
    if gone and not path.startswith(_SYSTEM):
        return 0.3, f"the program's file is deleted ({path})"
    hidden = next((part for part in path.split("/") if _is_hidden(part)), "")
    if hidden:
        return 0.2, f"the program is in a hidden place ({hidden})"
    if gone:
        return 0.05, "the program's file was deleted or replaced since it started"
    return None


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part not in _USUAL_HIDDEN and len(part) > 1


RULE = Rule("process_location", 0.0, 0.4, _judge)
