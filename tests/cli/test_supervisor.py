"""Children are stopped in order, their deaths are told, and none outlives the supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from beacon_detect.cli.supervisor import ChildEndedError, Supervisor
from beacon_detect.errors import ExitCode
from patience import PATIENCE, eventually

PYTHON = [sys.executable, "-S", "-c"]
IDLE = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " open(sys.argv[1], 'w').close(); time.sleep(600)"
)
NOTES = (
    "import signal, sys, time\n"
    "def end(*_):\n"
    "    time.sleep(float(sys.argv[3]))\n"
    "    with open(sys.argv[1], 'a') as log: log.write(sys.argv[2] + '\\n')\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "open(sys.argv[1] + '.' + sys.argv[2], 'w').close()\n"
    "time.sleep(600)"
)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(told: list[str]) -> Iterator[Supervisor]:
    with Supervisor(told.append, stop_seconds=PATIENCE) as children:
        yield children


def send_soon(number: signal.Signals, after: float = 0.1) -> threading.Timer:
    """Send a signal to this thread: a worker of the tests has others, which would die of it."""
    timer = threading.Timer(after, signal.pthread_kill, (threading.get_ident(), number))
    timer.start()
    return timer


def test_children_are_stopped_last_started_first(told: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Supervisor(told.append, stop_seconds=PATIENCE) as children:
        children.start("control plane", [*PYTHON, NOTES, str(log), "server", "0"], os.environ)
        children.start("sensor", [*PYTHON, NOTES, str(log), "sensor", "0.3"], os.environ)
        eventually(lambda: len(list(tmp_path.glob("log.*"))) == 2)

    assert log.read_text("ascii") == "sensor\nserver\n"
    assert told == ["stopping the sensor", "stopping the control plane"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_ends_the_watch_and_reaches_no_child(
    supervisor: Supervisor, number: signal.Signals
) -> None:
    supervisor.start("sensor", [*PYTHON, IDLE], os.environ)
    timer = send_soon(number)
    supervisor.watch()
    timer.join()

    assert not supervisor.pause(0.1)


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("5", ExitCode.KERNEL),
        ("78", ExitCode.CONFIG),
        ("0", ExitCode.FAILURE),
        ("99", ExitCode.FAILURE),
    ],
)
def test_a_child_that_ends_is_told_with_its_code(
    supervisor: Supervisor, code: str, exit_code: ExitCode
) -> None:
    supervisor.start("sensor", [*PYTHON, f"raise SystemExit({code})"], os.environ)
    with pytest.raises(ChildEndedError, match=f"the sensor ended with exit code {code}") as caught:
        supervisor.watch()
    assert caught.value.exit_code == exit_code


def test_a_child_that_is_killed_is_told_with_the_signal(supervisor: Supervisor) -> None:
    supervisor.start("sensor", [*PYTHON, "import os; os.kill(os.getpid(), 9)"], os.environ)
    with pytest.raises(ChildEndedError, match="the sensor was killed by SIGKILL") as caught:
        supervisor.watch()
    assert caught.value.exit_code == ExitCode.FAILURE


def test_an_end_is_noticed_even_where_another_thread_takes_the_signal(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = signal.sigtimedwait
    monkeypatch.setattr(
        signal, "sigtimedwait", lambda taken, seconds: wait({*taken} - {signal.SIGCHLD}, seconds)
    )
    supervisor.start("sensor", [*PYTHON, "raise SystemExit(5)"], os.environ)
    with pytest.raises(ChildEndedError):
        supervisor.watch()


def test_a_child_that_does_not_end_is_killed(told: list[str], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with Supervisor(told.append, stop_seconds=0.3) as children:
        children.start("sensor", [*PYTHON, STUBBORN, str(ready)], os.environ)
        eventually(ready.exists)

    assert told == ["stopping the sensor", "killing the sensor: it did not end within 0.3 s"]


def test_a_second_stop_signal_does_not_wait(told: list[str], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with Supervisor(told.append, stop_seconds=3600) as children:
        children.start("sensor", [*PYTHON, STUBBORN, str(ready)], os.environ)
        eventually(ready.exists)
        timer = send_soon(signal.SIGINT, 0.3)
    timer.join()

    assert told[-1] == "killing the sensor: as asked"


def test_the_signals_of_the_caller_are_given_back() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    with Supervisor(lambda _: None):
        pass

    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before


def test_children_start_with_signals_unblocked_and_no_terminal_input(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    code = (
        "import os, signal, sys\n"
        "blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "alone = os.getpgid(0) == os.getpid()\n"
        "with open(sys.argv[1], 'w') as out: out.write(f'{len(blocked)} {alone} {sys.stdin.read()!r}')\n"
        "import time; time.sleep(600)"
    )
    supervisor.start("sensor", [*PYTHON, code, str(report)], os.environ)
    eventually(lambda: report.exists() and report.read_text("ascii"))

    assert report.read_text("ascii") == "0 True ''"


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    child = f"import os, sys, time; open(sys.argv[1], 'a').write(f'{{os.getpid()}} '); {IDLE}"
    code = (
        "import os, sys\n"
        "from beacon_detect.cli.supervisor import Supervisor\n"
        "with Supervisor(print) as children:\n"
        f"    for name in 'ab': children.start(name, [sys.executable, '-S', '-c', {child!r}, {str(pids)!r}], os.environ)\n"
        "    children.watch()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        eventually(lambda: pids.exists() and len(pids.read_text("ascii").split()) == 2)
        parent.kill()
    children = [int(pid) for pid in pids.read_text("ascii").split()]

    eventually(lambda: all(map(is_gone, children)))


def test_a_signal_that_the_starter_ignores_stays_ignored(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from beacon_detect.cli.supervisor import Supervisor\n"
        "with Supervisor(lambda _: None) as children:\n"
        f"    open({str(ready)!r}, 'w').close()\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    assert not children.pause(0.3)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert children.pause(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)

    assert done.returncode == 0
