"""The command as a whole: its help, its light start, and every way it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from beacon_detect import __version__, errors
from beacon_detect.cli.main import SECTIONS, VERBS, _Verbs, cli, run
from beacon_detect.errors import BeaconError, ExitCode
from patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"
REFERENCE = ROOT / "docs" / "reference" / "cli.md"
EXIT_CODES = ROOT / "docs" / "reference" / "exit-codes.md"
HEAVY = {"duckdb", "fastapi", "uvicorn", "numba", "pyarrow", "numpy", "pydantic", "structlog"}


def commands() -> dict[str, click.Command]:
    """Return every verb, and the verbs below one, by the words that call them."""
    context = click.Context(cli, info_name="beacon-detect")
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": inner for sub, inner in command.commands.items()}
    return found


COMMANDS = commands()


@pytest.mark.parametrize("words", ["", *COMMANDS], ids=lambda words: words or "beacon-detect")
def test_the_help_is_the_golden_one(cli: Callable[..., Any], words: str) -> None:
    file = GOLDEN / f"{words.replace(' ', '-') or 'beacon-detect'}.txt"
    shown = cli(*words.split(), "--help").out
    if os.environ.get("WRITE_GOLDEN"):
        file.write_text(shown, "utf-8")

    assert shown == file.read_text("utf-8")


@pytest.mark.parametrize("words", COMMANDS)
def test_every_verb_has_help_example_and_docs(words: str) -> None:
    command = COMMANDS[words]
    page = REFERENCE.read_text("utf-8")

    assert command.help
    assert "Example:" in command.help
    assert f"beacon-detect {words}" in command.help or words == "config"
    assert re.search(rf"^##+ {words}$", page, re.MULTILINE)
    for option in command.params:
        if not isinstance(option, click.Option):
            continue  # arguments are described in the help of the verb
        assert option.help
        assert f"`{max(option.opts, key=len)}" in page


@pytest.mark.parametrize("name", VERBS)
def test_the_list_of_verbs_says_what_the_verb_says(name: str) -> None:
    help_text = COMMANDS[name].help or ""

    assert help_text.splitlines()[0] == VERBS[name].summary


def test_sections_hold_every_verb_once() -> None:
    listed = [name for verbs in SECTIONS.values() for name in verbs]

    assert sorted(listed) == sorted(set(listed)) == sorted(VERBS)
    assert isinstance(cli, _Verbs)


def loaded_modules(*words: str) -> set[str]:
    code = (
        "import sys\nbefore = set(sys.modules)\n"
        "from beacon_detect.cli.main import run\n"
        f"run({list(words)!r})\n"
        "print('LOADED', *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.rpartition("LOADED ")[2].split()}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["beacons", "--help"]])
def test_help_imports_nothing_beyond_click(words: list[str]) -> None:
    foreign = loaded_modules(*words) - set(sys.stdlib_module_names)

    assert foreign == {"click", "beacon_detect"}


@pytest.mark.parametrize(
    "words",
    [["beacons"], ["status"], ["alerts"], ["connections"], ["long-conns"], ["explain", "00"]],
)
def test_lists_import_no_engine(words: list[str], closed_port: int) -> None:
    assert loaded_modules("--port", str(closed_port), *words) & HEAVY == set()


def test_config_imports_no_engine_of_the_planes() -> None:
    assert loaded_modules("config", "check") & (HEAVY - {"pydantic"}) == set()


def test_the_sensor_never_imports_the_control_planes_engines(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data_plane: {interface: nosuchinterface}\n", "utf-8")
    loaded = loaded_modules("sensor", "-c", str(config))

    assert loaded & {"duckdb", "fastapi", "uvicorn", "numba"} == set()


def test_the_version_is_told(cli: Callable[..., Any]) -> None:
    assert cli("--version").out == f"beacon-detect, version {__version__}\n"


def test_options_before_the_verb_choose_the_control_plane(
    cli: Callable[..., Any], api: Any, tmp_path: Path
) -> None:
    api.token = "right"
    token = tmp_path / "token"
    token.write_text("right\n", "ascii")
    done = cli("--host", "127.0.0.1", "--port", api.port, "--token-file", token, "beacons")

    assert done.code == 0
    assert cli("--port", "0", "beacons").code == ExitCode.USAGE


@pytest.mark.parametrize("verb", ["up", "server", "sensor", "config"])
@pytest.mark.parametrize("option", [["--port", "9090"], ["--host", "::1"]])
def test_daemons_do_not_take_the_address_of_a_control_plane(
    cli: Callable[..., Any], verb: str, option: list[str]
) -> None:
    done = cli(*option, verb)

    assert done.code == ExitCode.USAGE
    assert f"names a control plane to look at, which `{verb}` does not do" in done.err


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [(["beacon"], "'beacons'"), (["watc"], "'watch'"), (["--hosst", "x"], "--host")],
)
def test_a_slip_gets_a_suggestion(
    cli: Callable[..., Any], words: list[str], suggestion: str
) -> None:
    done = cli(*words)

    assert done.code == ExitCode.USAGE
    assert suggestion in done.err


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the verb ``status`` fail."""

    def callback(**_: object) -> None:
        raise error

    monkeypatch.setattr(COMMANDS["status"], "callback", callback)


ERRORS = [kind for kind in vars(errors).values() if hasattr(kind, "exit_code")]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_each_error_of_ours_ends_with_its_code_and_no_traceback(
    kind: type[BeaconError], cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = kind.__new__(kind)
    BeaconError.__init__(error, "it went wrong", hint="do this")
    failing(error, monkeypatch)
    done = cli("status")

    assert (done.code, done.out) == (kind.exit_code, "")
    assert done.err == "error: it went wrong\n  hint: do this\n"


def test_an_unexpected_failure_is_told_and_debug_shows_where(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(ValueError("seven"), monkeypatch)
    plain, debug = cli("status"), cli("--debug", "status")

    assert plain.code == debug.code == ExitCode.FAILURE
    assert plain.err.startswith("error: unexpected ValueError: seven\n")
    assert "Traceback" not in plain.err
    assert "Traceback" in debug.err


def test_ctrl_c_ends_with_its_code(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(KeyboardInterrupt(), monkeypatch)

    assert cli("status").code == ExitCode.INTERRUPTED


def test_no_verb_shows_the_help_and_is_a_usage_error(cli: Callable[..., Any]) -> None:
    assert cli().code == ExitCode.USAGE


@pytest.mark.parametrize("words", [["beacons", "-o", "json"], ["--help"]])
def test_a_reader_that_goes_away_ends_it_quietly(api: Any, words: list[str]) -> None:
    api.rows["beacons"] = api.rows["beacons"] * 2000
    # Gone before the command starts: a short output might be written before it goes.
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "beacon_detect", "--host", "127.0.0.1"]
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [*command, "--port", str(api.port), *words],
            stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=PATIENCE,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (ExitCode.BROKEN_PIPE, b"")


@pytest.mark.parametrize("words", [["--help"], ["config", "show"]])
def test_a_full_disk_behind_stdout_is_told_as_such(words: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "beacon_detect", *words],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip

    assert done.returncode == ExitCode.FAILURE
    assert done.stderr == "error: the output cannot be written: No space left on device\n"


def test_a_closed_stdout_is_no_failure() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&-', "sh", sys.executable, "-m", "beacon_detect", "--version"],
        capture_output=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupted_request_ends_with_130(api: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "beacon_detect",
                "--host",
                "127.0.0.1",
                "--port",
                port,
                "beacons",
            ],
            stderr=subprocess.PIPE,
        )
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(65536)
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=PATIENCE)

    assert child.returncode == ExitCode.INTERRUPTED
    assert b"Traceback" not in err
    assert api.asked == []


def test_the_encoding_of_the_terminal_never_ends_a_command(
    shell: Callable[..., Any], closed_port: int
) -> None:
    done = shell("--port", closed_port, "status", PYTHONIOENCODING="latin-1")

    assert done.returncode == ExitCode.UNREACHABLE
    assert "? OFFLINE" in done.stdout


def test_the_checkout_runs_the_same_command(closed_port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "control_plane.cli", "--port", str(closed_port), "beacons"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == ExitCode.UNREACHABLE
    assert "error: no control plane" in done.stderr


def test_the_checkout_runs_without_installation(tmp_path: Path) -> None:
    """The interpreter here sees the dependencies but not the package."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "click").symlink_to(Path(click.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "control_plane.cli", "--version"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]},
    )  # fmt: skip

    assert done.stdout == f"beacon-detect, version {__version__}\n"
    assert done.returncode == 0


def test_every_exit_code_is_documented() -> None:
    page = EXIT_CODES.read_text("utf-8")

    for code in ExitCode:
        assert re.search(rf"^\| {int(code)} \|", page, re.MULTILINE), code


def test_shell_completion_knows_the_verbs(shell: Callable[..., Any]) -> None:
    done = shell(
        _BEACON_DETECT_COMPLETE="bash_complete", COMP_WORDS="beacon-detect long", COMP_CWORD="1"
    )

    assert "long-conns" in done.stdout
    assert run(["--version"]) == 0
