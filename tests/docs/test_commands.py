"""Every command shown in the documents runs, in a namespace of its own with a live system.

A command is a line that starts with ``$ `` in a ```` ```console ```` block. What a page
says about a failing command stands behind it as ``# exit N``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.world import namespaces, process
from network_wire import Wire
from patience import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]


pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_RUNS_ON = re.compile(
    r"^[^'\"|]*(control_plane\.server|data_plane\.collector|\b(server|sensor|up|watch)\b)"
)
_RUNS = re.compile(r"LIVE|control plane ready|watching |Ctrl-C")
"""What a command that runs on says once it does."""
_EXIT = re.compile(r"\s+# exit (\d+)$")


def commands() -> list[tuple[str, str]]:
    """Return (page, command) of every command shown, in reading order, once."""
    found: dict[tuple[str, str], None] = {}
    for page in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in _BLOCK.findall(page.read_text("utf-8")):
            lines = iter(block.replace("\\\n", " ").splitlines())
            for line in lines:
                if line.startswith("$ "):
                    command = line[2:].strip()
                    while is_open(command):
                        command += "\n" + next(lines)
                    found.setdefault((str(page.relative_to(ROOT)), command))
    return list(found)


def is_open(command: str) -> bool:
    """Say whether a quote is still open, so that the command goes on in the next line."""
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def beacon_records() -> list[dict[str, object]]:
    """Return a beacon of 40 check-ins that ended just now, as the JSON intake takes it."""
    now = time.time()
    return [
        {"src": "10.0.0.100", "dst": "203.0.113.50", "dst_port": 443, "protocol": "tcp"}
        | {"time": now - 60 * (40 - i), "duration": 0.2, "bytes_out": 120, "bytes_in": 300}
        | {"process": "updater", "src_port": 40000 + i}
        for i in range(40)
    ]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wire, Path]]:
    """A control plane with one finding on the documented port, in a namespace of its own."""
    folder = tmp_path_factory.mktemp("docs")
    with ExitStack() as stack:
        spaces = stack.enter_context(namespaces())
        command = [*spaces.in_client(), sys.executable, "-m", "beacon_detect", "server"]
        stack.enter_context(
            process([*command, "-c", "config/config.yaml"], folder / "log", **environment(folder))
        )
        post = (
            "import sys, urllib.request as u\n"
            "r = u.Request('http://127.0.0.1:9090/api/v1/' + sys.argv[1], sys.stdin.buffer.read(),"
            " {'Content-Type': 'application/json'})\n"
            "print(u.urlopen(r).read().decode())"
        )

        def send(path: str, body: object) -> bool:
            done = subprocess.run(
                [*spaces.in_client(), sys.executable, "-c", post, path],
                input=json.dumps(body).encode(),
                capture_output=True,
                check=False,
            )
            return done.returncode == 0

        batch = {"sensor": "docs", "batch": "docs-1", "records": beacon_records()}
        eventually(lambda: send("telemetry", batch), what="the control plane answers")
        assert send("analyze", {})
        yield spaces, folder


def environment(folder: Path) -> dict[str, str]:
    """Return what keeps a run inside ``folder``; commands are found in this environment."""
    prefix = "BEACON_DETECT_"
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        f"{prefix}CONTROL_PLANE__DATA_DIR": str(folder / "data"),
        f"{prefix}DATA_PLANE__SPOOL_DIR": str(folder / "spool"),
        f"{prefix}ALERTING__FILE__PATH": str(folder / "alerts.json"),
    }


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_documented_command_works(
    page: str, command: str, live: tuple[Wire, Path], tmp_path: Path
) -> None:
    spaces, folder = live
    expected = int(match.group(1)) if (match := _EXIT.search(command)) else 0
    command = _EXIT.sub("", command).removeprefix("sudo ")
    if command.startswith("make "):
        # The targets run in CI itself and in tests/e2e/test_make_up.py.
        command = command.replace("make ", "make -n ", 1)
    if command.startswith("pip install"):
        # The wheel is built and installed in tests/packaging.
        command = command.replace(
            "pip install",
            "python -m pip install --dry-run --no-deps --no-index --no-build-isolation",
            1,
        )
    runs_on = bool(_RUNS_ON.search(command)) and not re.search(r"--help|^(make|curl) ", command)
    where = spaces.in_server() if runs_on and "watch" not in command else spaces.in_client()
    state = tmp_path if runs_on else folder
    with (tmp_path / "output").open("wb") as output:
        child = subprocess.Popen(
            [*where, "bash", "-o", "pipefail", "-c", f"exec {command}" if runs_on else command],
            cwd=ROOT,
            env={**os.environ, **environment(state)},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )

    def text() -> str:
        return (tmp_path / "output").read_text("utf-8", "replace")

    try:
        if runs_on:
            eventually(lambda: _RUNS.search(text()) or child.poll() is not None, "it runs")
            assert child.poll() is None, f"{page}: {command}: ended by itself: {text()}"
            child.send_signal(signal.SIGINT)
            assert child.wait(PATIENCE) in (0, 130), f"{page}: {command}: {text()}"
        else:
            assert child.wait(2 * PATIENCE) == expected, f"{page}: {command}: {text()}"
    finally:
        child.kill()
        child.wait()


def test_the_documents_show_commands() -> None:
    assert ("README.md", "make up") in commands()
