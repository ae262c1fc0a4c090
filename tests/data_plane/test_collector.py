"""The real sensor on real traffic: every connection told once, with its process, and nothing left.

The kernel's programs are loaded and watch the whole host, so the tests pick
their own traffic by its addresses, which exist only in their namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pytest
import yaml

from beacon_detect.config import Config
from beacon_detect.config.schema import DataPlane
from beacon_detect.data_plane.collector import needing_restart, program_options, what_is_watched
from beacon_detect.errors import ExitCode
from beacon_detect.records import Direction, Kind, Origin, Outcome, unpack_address
from network_wire import Wire
from patience import PATIENCE, eventually
from ports import own_port
from sensor_traffic import ANSWER, REQUEST
from telemetry_receiver import Receiver, receiver

ROOT = Path(__file__).resolve().parents[2]
TRAFFIC = str(Path(__file__).parent.parent / "sensor_traffic.py")
CONNECTIONS = 31
BURST_IDLE = 1.0
Rows = list[dict[str, Any]]


class Sensor:
    """The sensor as a process of its own, with its log."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path, folder: Path) -> None:
        self.child, self.log, self.folder = child, log, folder

    def said(self) -> list[dict[str, Any]]:
        """Return the log's entries; other lines as ``{"event": line}``."""
        # The last piece is empty, or a line that is still being written.
        lines = self.log.read_text("utf-8", "replace").split("\n")[:-1]
        return [json.loads(x) if x.startswith("{") else {"event": x} for x in lines]

    def says(self, start: str) -> dict[str, Any] | None:
        return next((e for e in self.said() if str(e["event"]).startswith(start)), None)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.child.send_signal(how)
        return self.child.wait(PATIENCE)


def configure(folder: Path, port: int, **data_plane: Any) -> Path:
    settings = {
        "control_plane_port": port,
        "spool_dir": str(folder / "spool"),
        "export_interval": 0.2,
        "sensor_name": "tested",
        **data_plane,
    }
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump({"data_plane": settings, "logging": {"format": "json"}}))
    return file


def launch(config: Path, prefix: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [*prefix, sys.executable, "-m", "data_plane.collector", "-c", str(config)]
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


@contextmanager
def sensor(
    folder: Path, port: int, prefix: list[str] | None = None, **data_plane: Any
) -> Iterator[Sensor]:
    config = configure(folder, port, **data_plane)
    log = folder / f"sensor-{time.monotonic_ns()}.log"
    with log.open("wb") as sink:
        child = launch(config, prefix or [], sink)
    started = Sensor(child, log, folder)
    try:
        eventually(
            lambda: started.says("watching") or child.poll() is not None, "the sensor watches"
        )
        assert child.poll() is None, log.read_text()
        yield started
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


@contextmanager
def traffic(prefix: list[str], *words: str, python: str = sys.executable) -> Iterator[Any]:
    child = subprocess.Popen(
        [*prefix, python, TRAFFIC, *words],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


@contextmanager
def server(wire: Wire, port: int) -> Iterator[int]:
    with traffic(wire.in_server(), "serve", str(port)) as child:
        assert child.stdout.readline() == "ready\n"
        yield child.pid


def run_traffic(prefix: list[str], *words: str, python: str = sys.executable) -> None:
    done = subprocess.run(
        [*prefix, python, TRAFFIC, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def told(got: Receiver, port: int, kind: Kind | None = None) -> Rows:
    """Return the records of a destination port, addresses as text."""
    rows = [r for r in got.rows() if r["dst_port"] == port and kind in (None, r["kind"])]
    return [{**r, "src": unpack_address(r["src"]), "dst": unpack_address(r["dst"])} for r in rows]


def named_python(folder: Path, name: str) -> str:
    """Return a path that runs this Python under another name, as an implant would."""
    link = folder / name
    link.symlink_to(sys.executable)
    return str(link)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver of what one host sensor tells, for the tests that only look."""
    quick = {"burst_idle": BURST_IDLE, "udp_idle_timeout": 3.0, "update_interval": 1.0}
    folder = tmp_path_factory.mktemp("host")
    with receiver() as got, sensor(folder, got.port, include_loopback=True, **quick):
        yield got


@pytest.mark.root
def test_a_known_number_of_connections_is_told_exactly(
    tmp_path: Path, wire: Wire, host: Receiver
) -> None:
    implant = named_python(tmp_path, "implantd")
    began = time.time_ns()
    with server(wire, 7001):
        for address in (wire.server_v4, wire.server_v6):
            run_traffic(
                wire.in_client(), "connect", address, "7001", str(CONNECTIONS), python=implant
            )
        got = host
        eventually(lambda: len(told(got, 7001, Kind.END)) == 2 * CONNECTIONS, "every end is told")

        starts, ends = told(got, 7001, Kind.START), told(got, 7001, Kind.END)
        assert len(starts) == len(ends) == 2 * CONNECTIONS
        assert {r["connection_id"] for r in starts} == {r["connection_id"] for r in ends}
        assert len({r["connection_id"] for r in starts}) == 2 * CONNECTIONS
        assert {r["process"] for r in starts + ends} == {"implantd"}
        assert {r["direction"] for r in starts} == {Direction.OUTBOUND}
        assert {r["origin"] for r in starts} == {Origin.OPENED}
        assert {r["outcome"] for r in ends} == {Outcome.CLOSED}
        assert {(r["bytes_out"], r["bytes_in"]) for r in ends} == {(len(REQUEST), len(ANSWER))}
        assert {(r["src"], r["dst"]) for r in starts} == {
            (wire.client_v4, wire.server_v4),
            (wire.client_v6, wire.server_v6),
        }
        assert all(began < r["time"] < time.time_ns() for r in starts)
        header = got.requests[-1].header
        assert (header.sensor, header.mode, header.losses) == ("tested", "host", {})


@pytest.mark.root
def test_a_living_process_has_its_executable_and_a_burst_is_told(
    wire: Wire, host: Receiver
) -> None:
    got = host
    with (
        server(wire, 7002),
        traffic(wire.in_client(), "hold", wire.server_v4, "7002") as holder,
    ):
        assert holder.stdout.readline().startswith("ready")
        time.sleep(1.2 * BURST_IDLE)
        holder.stdin.write("again\n")
        holder.stdin.flush()
        holder.stdout.readline()

        def second_request() -> Rows:
            # Where the machine stalls, an answer may be a burst of its own.
            bursts = told(got, 7002, Kind.BURST)
            return [b for b in bursts if b["bytes_out"] == 2 * len(REQUEST)][:1]

        (burst,) = eventually(second_request, "the burst is told")
        (start,) = told(got, 7002, Kind.START)
        assert start["connection_id"] == burst["connection_id"]
        assert start["executable"] == burst["executable"] == os.path.realpath(sys.executable)
        assert start["pid"] == holder.pid
        assert burst["series_time"] - start["series_time"] > BURST_IDLE * 1e9


@pytest.mark.root
def test_connections_open_before_the_start_are_told_without_inventing_theirs(
    tmp_path: Path, wire: Wire
) -> None:
    with (
        receiver() as got,
        server(wire, 7003),
        traffic(wire.in_client(), "hold", wire.server_v4, "7003") as holder,
    ):
        port = int(holder.stdout.readline().split()[1])
        time.sleep(0.2)
        began = time.time_ns()
        # The receiver is not in the sensor's namespace: what it tells waits in the spool.
        with sensor(tmp_path, got.port, wire.in_client()) as watching:
            assert watching.says("watching")["open_before"] >= 1  # type: ignore[index]
            holder.stdin.write("again\n")
            holder.stdin.flush()
            holder.stdout.readline()
            assert watching.stop() == 0
        with sensor(tmp_path, got.port):
            eventually(lambda: told(got, 7003, Kind.UPDATE), "the spool is sent")

        (start,) = [r for r in told(got, 7003, Kind.START) if r["src_port"] == port]
        assert (start["src"], start["dst"]) == (wire.client_v4, wire.server_v4)
        assert start["origin"] == Origin.SNAPSHOT
        assert start["time"] > began
        assert start["pid"] == holder.pid
        assert start["direction"] == Direction.OUTBOUND
        (update,) = [r for r in told(got, 7003, Kind.UPDATE) if r["src_port"] == port]
        assert update["connection_id"] == start["connection_id"]
        assert (update["bytes_out"], update["bytes_in"]) == (len(REQUEST), len(ANSWER))


@pytest.mark.root
def test_silence_ends_a_connection(wire: Wire, host: Receiver) -> None:
    run_traffic(wire.in_client(), "datagrams", wire.server_v4, "7004", "13")
    eventually(lambda: told(host, 7004, Kind.END), "the end is told")

    (start,), (end,) = told(host, 7004, Kind.START), told(host, 7004, Kind.END)
    assert start["connection_id"] == end["connection_id"]
    assert end["outcome"] == Outcome.UNANSWERED
    assert (end["packets_out"], end["bytes_out"]) == (13, 13 * len(REQUEST))
    assert end["duration"] < 3e9


@pytest.mark.root
def test_a_gateway_sees_what_passes_its_interface(tmp_path: Path, wire: Wire) -> None:
    with (
        receiver() as got,
        server(wire, 7005),
        sensor(tmp_path, got.port, wire.in_server(), interface=wire.server_interface) as watching,
    ):
        run_traffic(wire.in_client(), "connect", wire.server_v4, "7005", str(CONNECTIONS))
        assert watching.stop() == 0
        with sensor(tmp_path, got.port):
            eventually(lambda: len(told(got, 7005, Kind.END)) == CONNECTIONS, "all is sent")

        starts = told(got, 7005, Kind.START)
        gateway = [r for r in got.requests if r.header.mode == "gateway"]
        assert gateway
        assert len({r["connection_id"] for r in starts}) == CONNECTIONS == len(starts)
        assert {r["process"] for r in starts} == {""}
        assert {r["direction"] for r in starts} == {Direction.UNKNOWN}


@pytest.mark.root
def test_a_missing_interface_is_one_clear_message(tmp_path: Path) -> None:
    code, said = refuse(tmp_path, interface="nope0")

    assert code == ExitCode.KERNEL
    assert "nope0" in said
    assert "Traceback" not in said


@pytest.mark.root
def test_the_sensors_own_export_is_left_out(host: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", host.port)):
        pass
    eventually(lambda: told(host, host.port, Kind.START), "a stranger's connection is told")
    time.sleep(0.5)

    assert {r["pid"] for r in told(host, host.port)} == {os.getpid()}


@pytest.mark.root
def test_a_sensor_shows_at_once_that_it_lives(host: Receiver) -> None:
    eventually(lambda: host.requests, "the first heartbeat")

    assert host.requests[0].table.num_rows == 0
    assert host.requests[0].header.session


@pytest.mark.root
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_leaves_nothing_behind(tmp_path: Path, wire: Wire, how: signal.Signals) -> None:
    with receiver() as got, sensor(tmp_path, got.port) as watching:
        assert loaded_programs(watching.child.pid)
        run_traffic(wire.in_client(), "datagrams", wire.server_v4, "7006", "1")

        assert watching.stop(how) == 0
        assert len(told(got, 7006, Kind.START)) == 1, "what was last seen is sent before the end"
        assert loaded_programs(watching.child.pid) == []
        assert list((tmp_path / "spool" / "waiting").iterdir()) == []
        assert watching.says("sensor stopped")["losses"] == {}  # type: ignore[index]


def loaded_programs(pid: int) -> list[str]:
    """Return the BPF programs that a process holds, by its open files."""
    found = []
    for file in Path("/proc").glob(f"{pid}/fdinfo/*"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += [x for x in file.read_text().splitlines() if x.startswith("prog_id")]
    return found


@pytest.mark.root
def test_what_was_spooled_before_a_kill_is_sent_after_it_with_the_same_ids(
    tmp_path: Path, wire: Wire
) -> None:
    port = own_port()
    waiting = tmp_path / "spool" / "waiting"

    def spooled() -> dict[str, int]:
        """Return by batch how many starts of ours are in it."""
        return {path.name[:26]: starts_in(path, 7007) for path in waiting.glob("*.arrow")}

    with sensor(tmp_path, port) as watching:
        for count in (1, 2, 3):
            run_traffic(wire.in_client(), "datagrams", wire.server_v4, "7007", "1")
            eventually(lambda count=count: sum(spooled().values()) == count, "it is spooled")
        left = set(spooled())
        watching.stop(signal.SIGKILL)
        assert loaded_programs(watching.child.pid) == []
    with receiver(port) as got, sensor(tmp_path, port) as watching:
        eventually(lambda: left <= set(got.accepted), "all of them arrive")
        assert watching.stop() == 0

        sent = [request.header.batch for request in got.requests]
        assert len(sent) == len(set(sent))
        assert sorted(sent)[: len(left)] == sorted(left)
        assert len(told(got, 7007, Kind.START)) == 3


def starts_in(batch: Path, port: int) -> int:
    """Return the number of starts to a port in a batch on disk."""
    with pa.ipc.open_stream(batch.read_bytes()) as stream:
        rows = stream.read_all().select(["kind", "dst_port"]).to_pylist()
    return rows.count({"kind": Kind.START, "dst_port": port})


@pytest.mark.root
def test_two_sensors_do_not_share_a_spool(tmp_path: Path) -> None:
    with receiver() as got, sensor(tmp_path, got.port):
        code, said = refuse(tmp_path)

    assert code == ExitCode.FAILURE
    assert "another sensor" in said


def refuse(folder: Path, prefix: list[str] | None = None, **data_plane: Any) -> tuple[int, str]:
    """Run a sensor that cannot start; return its exit code and what it said."""
    config = configure(folder, 9, **data_plane)
    log = folder / "refused.log"
    with log.open("wb") as sink:
        code = launch(config, prefix or [], sink).wait(PATIENCE)
    return code, log.read_text()


@pytest.mark.root
def test_without_privileges_the_message_says_what_is_missing(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    code, said = refuse(tmp_path, dropped)

    assert code == ExitCode.PERMISSION
    assert "CAP_BPF" in said or "root" in said
    assert "Traceback" not in said


def test_a_faulty_configuration_is_refused_with_its_place(tmp_path: Path) -> None:
    code, said = refuse(tmp_path, export_intervall=3)

    assert code == ExitCode.CONFIG
    assert "export_interval" in said
    assert "config.yaml:" in said


@pytest.mark.root
def test_a_reload_takes_over_what_can_change_and_keeps_the_old_when_faulty(
    tmp_path: Path, wire: Wire
) -> None:
    with receiver() as got, sensor(tmp_path, got.port, export_interval=3600.0) as watching:
        run_traffic(wire.in_client(), "datagrams", wire.server_v4, "7008", "1")
        time.sleep(0.5)
        assert told(got, 7008) == []

        configure(tmp_path, got.port, export_interval=-1.0)
        watching.child.send_signal(signal.SIGHUP)
        refusal = eventually(lambda: watching.says("configuration not taken over"), "it says so")
        assert "export_interval" in refusal["error"]
        assert told(got, 7008) == []

        configure(tmp_path, got.port, export_interval=0.2, burst_idle=9.0)
        watching.child.send_signal(signal.SIGHUP)
        taken = eventually(lambda: watching.says("configuration taken over"), "it says so")
        assert taken["needs_restart"] == ["data_plane.burst_idle"]
        eventually(lambda: told(got, 7008, Kind.START), "the new interval holds")


def test_the_operator_is_told_what_is_watched() -> None:
    assert what_is_watched(DataPlane()) == (
        "watching connections of this host and its containers:"
        " TCP, UDP, ICMP echo, without loopback traffic"
    )
    gateway = DataPlane(interface="eth7", track_udp=False, include_loopback=True)
    assert what_is_watched(gateway) == (
        "watching packets on interface eth7: TCP, ICMP echo, with loopback traffic"
    )


def test_the_kernel_program_gets_the_configuration() -> None:
    options = program_options(
        DataPlane(ring_buffer_pages=2, flow_map_size=2048, burst_idle=0.5, track_icmp=False)
    )

    assert (options.ring_bytes, options.flow_map_size) == (2 << 18, 2048)
    assert options.burst_idle_ns == 500_000_000
    assert (options.track_tcp, options.track_icmp) == (True, False)


def test_only_the_sensors_own_settings_need_its_restart() -> None:
    fresh = Config.model_validate(
        {
            "data_plane": {"interface": "eth0", "export_interval": 1.0},
            "control_plane": {"listen_port": 1},
            "logging": {"format": "json", "level": "error"},
        }
    )

    assert needing_restart(Config(), fresh) == ["data_plane.interface", "logging.format"]


def test_the_shim_says_which_package_is_missing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data_plane", tmp_path / "data_plane")
    (tmp_path / "structlog.py").write_text("raise ModuleNotFoundError(name='structlog')\n")
    done = subprocess.run(
        [sys.executable, "-m", "data_plane.collector"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "'structlog' is missing" in done.stderr
    assert "pip install" in done.stderr
