"""Compiles the kernel programs into the object file that the package carries.

Two ways in: ``python bpf/build.py [--if-stale]`` in a checkout, and the build
hook that hatchling runs for wheels and editable installs. The compiler is
clang as the ``ziglang`` package ships it, so no system package is needed; the
object is byte-reproducible and the same for every machine (BPF byte code,
little-endian).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, where only ziglang need be there
    BuildHookInterface = object

BPF = Path(__file__).resolve().parent
SOURCE = "beacon.bpf.c"
OBJECT = BPF.parent / "src" / "beacon_detect" / "data_plane" / "beacon.bpf.o"

FLAGS = [
    "-target", "bpfel-freestanding",
    "-mcpu=v3",
    "-O2",
    "-g",
    "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
    # Sections that libbpf does not know.
    "-fno-asynchronous-unwind-tables", "-fno-unwind-tables",
    # Nothing of the building machine may enter the object.
    "-fdebug-compilation-dir=.", "-ffile-prefix-map=./=",
]  # fmt: skip


class BuildError(Exception):
    """The object could not be built; the message says what to do."""


def is_stale() -> bool:
    """Say whether the object is missing or older than anything it is made of."""
    if not OBJECT.exists():
        return True
    built = OBJECT.stat().st_mtime_ns
    sources = [*BPF.glob("*.c"), *BPF.glob("*.h"), Path(__file__)]
    return any(source.stat().st_mtime_ns > built for source in sources)


def build(target: Path = OBJECT) -> None:
    """Compile the programs to ``target``, replacing it in one step."""
    with tempfile.TemporaryDirectory(prefix="beacon-bpf-") as scratch:
        compiled = Path(scratch) / "beacon.bpf.o"
        # Caches of its own: the build works with a read-only home and leaves nothing behind.
        environment = os.environ | {
            "ZIG_GLOBAL_CACHE_DIR": scratch,
            "ZIG_LOCAL_CACHE_DIR": scratch,
        }
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, "-c", SOURCE, "-o", str(compiled)]
        result = subprocess.run(
            command, cwd=BPF, env=environment, capture_output=True, text=True, check=False
        )
        if result.returncode or not compiled.exists():
            raise BuildError(_explain(result.stderr))
        staged = target.with_suffix(f".{os.getpid()}.tmp")
        staged.write_bytes(compiled.read_bytes())
        staged.replace(target)


def _explain(output: str) -> str:
    if "No module named ziglang" in output:
        return (
            "the compiler for the kernel programs is missing: no module named 'ziglang'\n"
            f"  hint: {sys.executable} -m pip install ziglang"
        )
    return f"the kernel programs do not compile:\n{output.strip()}"


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    """Puts a fresh object into every wheel; the wheel stays ``py3-none-any``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile before the files are collected."""
        if is_stale():
            try:
                build()
            except BuildError as error:
                raise SystemExit(f"beacon-detect: {error}") from None


def main() -> int:
    """Compile from the command line."""
    parser = argparse.ArgumentParser(description="Compile the kernel programs.")
    parser.add_argument("--if-stale", action="store_true", help="only when a source is newer")
    if parser.parse_args().if_stale and not is_stale():
        return 0
    try:
        build()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"built {OBJECT.relative_to(BPF.parent)} ({OBJECT.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
