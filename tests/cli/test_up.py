"""``up`` decides what the user left open, says it in plain words, and runs both daemons."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beacon_detect.cli.up import Plan, announcement, make_plan
from beacon_detect.config import OVERRIDES_NAME, Config
from patience import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]
INTERVAL = "BEACON_DETECT_DETECTION__ANALYSIS_INTERVAL"
_PR_CAPBSET_DROP = 24  # include/uapi/linux/prctl.h


def plan(folder: Path, text: str = "", **environment: str) -> Plan:
    file = folder / "c.yaml"
    file.write_text(text, "utf-8")
    return make_plan(file, folder / "state", environment, [], as_root=True)


def test_state_goes_into_one_folder(tmp_path: Path) -> None:
    config = plan(tmp_path, "control_plane: {data_dir: /elsewhere}").config

    assert config.control_plane.data_dir == str(tmp_path / "state" / "data")
    assert config.data_plane.spool_dir == str(tmp_path / "state" / "spool")
    assert config.alerting.file.path == str(tmp_path / "state" / "alerts.json")
    assert (tmp_path / "state").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("text", ["", "detection: {analysis_interval: 60}"])
def test_it_analyzes_often_where_the_interval_is_the_default(tmp_path: Path, text: str) -> None:
    made = plan(tmp_path, text)

    assert made.config.detection.analysis_interval == 10
    assert made.variables[INTERVAL] == "10"
    assert any(
        line.startswith("  analysis  every 10 s under `up`, else 60 s")
        for line in announcement(made)
    )


@pytest.mark.parametrize(
    ("text", "environment", "stored", "interval"),
    [
        ("detection: {analysis_interval: 30}", {}, "", 30),
        ("", {INTERVAL: "60"}, "", 60),
        ("", {}, "detection: {analysis_interval: 45}", 45),
    ],
    ids=["file", "environment", "API"],
)
def test_an_interval_of_the_users_own_wins(
    tmp_path: Path, text: str, environment: dict[str, str], stored: str, interval: float
) -> None:
    (tmp_path / "state" / "data").mkdir(parents=True)
    (tmp_path / "state" / "data" / OVERRIDES_NAME).write_text(stored, "utf-8")
    made = plan(tmp_path, text, **environment)

    assert INTERVAL not in made.variables
    assert any(f"every {interval} s" in line for line in announcement(made))


def test_the_sensor_speaks_to_the_control_plane_beside_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    text = f"control_plane:\n  listen_address: '::'\n  listen_port: 9191\n  token_file: {token}\n"
    sensor = plan(tmp_path, text).config.data_plane

    assert (sensor.control_plane_host, sensor.control_plane_port) == ("::1", 9191)
    assert sensor.token_file == str(token)


def test_a_control_plane_the_user_named_is_kept(tmp_path: Path) -> None:
    text = "data_plane: {control_plane_host: 192.0.2.7}\ncontrol_plane: {listen_port: 9191}\n"
    sensor = plan(tmp_path, text).config.data_plane

    assert (sensor.control_plane_host, sensor.control_plane_port) == ("192.0.2.7", 9090)


def test_a_token_in_the_environment_is_left_there(tmp_path: Path) -> None:
    text = "control_plane: {token_file: /a/token}"
    made = plan(tmp_path, text, BEACON_API_TOKEN="t")

    assert made.config.data_plane.token_file == ""


def test_it_says_what_is_watched_where_the_api_is_and_how_to_look(tmp_path: Path) -> None:
    text = (
        "control_plane: {listen_port: 9191, token_file: /a/token}\n"
        "data_plane: {track_udp: false, include_loopback: true}\n"
        "alerting: {syslog_enabled: true}\n"
    )
    lines = "\n".join(announcement(plan(tmp_path, text)))

    assert "every connection of this machine and its containers, with its process" in lines
    assert "(TCP, ICMP echo)" in lines
    assert "http://127.0.0.1:9191/api/v1" in lines
    assert "--port 9191 --token-file /a/token watch" in lines
    assert f"alerts    syslog, {tmp_path}/state/alerts.json" in lines
    assert "stop      Ctrl-C" in lines


def test_it_says_when_an_interface_or_nothing_is_watched(tmp_path: Path) -> None:
    gateway = plan(tmp_path, "data_plane: {interface: eth7}")
    nothing = Plan(Config(), missing=["CAP_BPF", "CAP_PERFMON"])

    assert "every connection on eth7 (TCP, UDP, ICMP echo, loopback left out)" in "\n".join(
        announcement(gateway)
    )
    assert "nothing: the sensor needs CAP_BPF, CAP_PERFMON; run this as root" in "\n".join(
        announcement(nothing)
    )


def test_the_hint_can_be_typed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "venv" / "beacon-detect"
    script.parent.mkdir()
    script.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)

    def hint(called: str, path: str) -> str:
        monkeypatch.setenv("PATH", path)
        monkeypatch.setattr(sys, "argv", [called, "up"])
        return next(line for line in announcement(Plan(Config())) if "look" in line).split()[1]

    assert hint(str(script), "/usr/bin") == "venv/beacon-detect"
    assert hint(str(script), str(script.parent)) == "beacon-detect"
    monkeypatch.chdir("/")
    assert hint(str(script), "/usr/bin") == str(script)[1:]
    assert hint(f"{ROOT}/src/beacon_detect/__main__.py", "/usr/bin") == "python3"


def without_capabilities() -> None:
    """Give up what the sensor needs; the program that is executed next starts without."""
    libc = ctypes.CDLL(None)
    for number in (12, 21, 38, 39):
        libc.prctl(_PR_CAPBSET_DROP, number)


def config_file(folder: Path, port: int, more: str = "") -> Path:
    file = folder / "c.yaml"
    file.write_text(
        f"control_plane: {{listen_port: {port}}}\nalerting: {{syslog_enabled: false}}\n{more}",
        "utf-8",
    )
    return file


class Up:
    """A running ``up`` with its output in a file."""

    def __init__(self, folder: Path, file: Path, prepare: Callable[[], None] | None = None) -> None:
        self.log = folder / "log"
        command = [sys.executable, "-m", "beacon_detect", "up", "-c", str(file)]
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [*command, "--state-dir", str(folder / "state")],
                stdout=log, stderr=log, cwd=folder, preexec_fn=prepare,  # noqa: PLW1509 (as the first thing a child does)
            )  # fmt: skip

    def wait_for(self, text: str) -> None:
        eventually(lambda: text in self.text() or self.child.poll() is not None, text)
        assert text in self.text(), self.text()

    def text(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def children(self) -> list[int]:
        pid = self.child.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


@pytest.fixture
def up(tmp_path: Path) -> Any:
    started: list[Up] = []

    def start(file: Path, prepare: Callable[[], None] | None = None) -> Up:
        started.append(Up(tmp_path, file, prepare))
        return started[-1]

    yield start
    for running in started:
        running.child.terminate()
        try:
            running.child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.child.kill()
            running.child.wait()


def test_without_capabilities_the_control_plane_runs_alone_and_the_gap_is_named(
    up: Callable[..., Up], cli: Callable[..., Any], tmp_path: Path, closed_port: int
) -> None:
    running = up(config_file(tmp_path, closed_port), without_capabilities)
    running.wait_for("stop      Ctrl-C")
    children = running.children()
    second = subprocess.run(
        [sys.executable, "-m", "beacon_detect", "up", "-c", str(tmp_path / "c.yaml")],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip

    assert "nothing: the sensor needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON" in running.text()
    assert len(children) == 1
    assert cli("--host", "127.0.0.1", "--port", closed_port, "status").code == 0
    assert second.returncode == 1
    assert f"a control plane already runs at 127.0.0.1:{closed_port}" in second.stderr
    running.child.send_signal(signal.SIGINT)
    assert running.child.wait(PATIENCE) == 0
    assert running.text().endswith("stopped\n")
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.root
def test_a_sensor_that_cannot_run_stops_both_with_its_code(
    up: Callable[..., Up], tmp_path: Path, closed_port: int
) -> None:
    running = up(config_file(tmp_path, closed_port, "data_plane: {interface: nosuch0}\n"))

    assert running.child.wait(PATIENCE) == 5
    assert "error: the sensor ended with exit code 5" in running.text()
    assert "stopping the control plane" in running.text()


def test_a_control_plane_that_cannot_start_is_told_with_its_code(
    up: Callable[..., Up], tmp_path: Path, closed_port: int
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "data").write_text("not a folder", "utf-8")
    running = up(config_file(tmp_path, closed_port), without_capabilities)

    assert running.child.wait(PATIENCE) != 0
    assert "error: the control plane ended with exit code" in running.text()


def test_a_folder_that_cannot_be_made_is_told(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = cli("up", "-c", config_file(tmp_path, 1), "--state-dir", tmp_path / "file" / "state")

    assert done.code == 1
    assert "cannot be made: Not a directory" in done.err


def test_a_bad_configuration_starts_nothing(cli: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("detection: {a: 1}", "utf-8")
    done = cli("up", "-c", file)

    assert done.code == 78
    assert "detection.a: unknown key" in done.err


@pytest.mark.parametrize(
    ("text", "moved"), [("", True), ("alerting: {file_path: /mine/alerts.json}", False)]
)
def test_without_root_alerts_go_to_the_users_own_folder_unless_told(
    tmp_path: Path, text: str, moved: bool
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text, "utf-8")
    path = make_plan(file, None, {}, [], as_root=False).config.alerting.file.path
    own = Path(Config().control_plane.data_dir).parent / "alerts.json"

    assert path == (str(own) if moved else "/mine/alerts.json")
