"""Script interpreters and transfer tools: any program can be written in them.

A small raise for destinations outside only: the interpreter says that the name of
the process vouches for nothing. Limit: system tools are scripts, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from beacon_detect.context.adjustment import Rule
from beacon_detect.context.destination import DestinationClass

if TYPE_CHECKING:
    from beacon_detect.context.facts import Facts

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox"})
_TOOLS = frozenset({"curl", "wget", "nc", "ncat", "netcat", "socat"})
_SCRIPTS = re.compile(r"(python|perl|ruby|php|lua|node|pwsh|tclsh)[\d.]*")


def _judge(facts: Facts) -> tuple[float, str] | None:
    if not (facts.executable or facts.process) or facts.dst_class is not DestinationClass.EXTERNAL:
        return None
    program = facts.executable.removesuffix(" (deleted)").rpartition("/")[2] or facts.process
    if program in _SHELLS or program in _TOOLS:
        return 0.1, f"{program} is a shell or transfer tool: any script may be behind it"
    if _SCRIPTS.fullmatch(program):
        return 0.05, f"{program} is a script interpreter: any program may be behind it"
    return None


RULE = Rule("interpreter", 0.0, 0.1, _judge)
