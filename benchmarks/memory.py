"""Resident memory of the control plane at 5 million stored records, and of the sensor.

    python benchmarks/memory.py [--records N] [--hours H] [--sensor]

A real server takes the records over HTTP, dated over the last hours, and
analyzes them; it is killed (-9) and started again, analyzes what it read back
and rolls the hours that are closed. Shown are the resident memory after each
step and the peak. The baseline is the same process with an empty store. ``--sensor`` (root)
starts the real sensor beside it; its memory under load is measured by
``sensor_end_to_end.py``.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from intake import arrow_body  # noqa: E402
from process_figures import peak_mib, resident_mib  # noqa: E402
from workload import connections  # noqa: E402

from beacon_detect.records import SECOND  # noqa: E402
from live_server import LiveServer  # noqa: E402

BATCH = 20_000
TARGET_SERVER, TARGET_SENSOR = 600, 150
UPKEEP_SECONDS = 2
SENSOR_SECONDS = 15


def main() -> None:
    """Fill a server, restart it, print its memory; then that of a sensor if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=5_000_000)
    parser.add_argument("--hours", type=float, default=23.0, help="age of the oldest record")
    parser.add_argument("--sensor", action="store_true", help="measure the sensor too (root)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = LiveServer(Path(folder))
        server.configure({"control_plane": {"cleanup_interval": UPKEEP_SECONDS}})
        server.start()
        try:
            peak = measure_server(server, options.records, options.hours)
            if options.sensor:
                measure_sensor(server, Path(folder))
        finally:
            server.stop()
    print(f"{'peak':<34}{peak:>7.0f} MiB   target {TARGET_SERVER}: {verdict(peak, TARGET_SERVER)}")


def verdict(value: float, target: float) -> str:
    """Return whether a figure meets its target, in words."""
    return "ok" if value <= target else "ABOVE TARGET"


def measure_server(server: LiveServer, records: int, hours: float) -> float:
    """Run the steps, print the memory after each, return the peak of both processes (MiB)."""
    show(server, "empty")
    fill(server, records, hours)
    show(server, f"{records:,} records taken")
    server.analyze()
    show(server, "analyzed")
    assert server.child is not None
    peak = peak_mib(server.child.pid)
    server.stop(signal.SIGKILL)
    begin = time.perf_counter()
    server.start()
    show(server, f"killed, back after {time.perf_counter() - begin:.1f} s")
    server.analyze()
    show(server, "analyzed again")
    show(server, f"{wait_for_rolls(server)} hours rolled")
    counted = server.fetch("status")["events_received"]
    assert counted == records, f"{counted} of {records} are left"
    assert server.child is not None
    return max(peak, peak_mib(server.child.pid))


def show(server: LiveServer, step: str) -> None:
    """Print the memory of the server after a step."""
    assert server.child is not None
    print(f"{step:<34}{resident_mib(server.child.pid):>7.0f} MiB", flush=True)


def fill(server: LiveServer, records: int, hours: float) -> None:
    """Send the records in the order of time, a batch at a time."""
    batches = records // BATCH
    span = int(hours * 3600 * SECOND) // batches
    first = time.time_ns() - batches * span
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number in range(batches):
        table = connections(BATCH, seed=number, first=first + number * span, span=span)
        body, headers = arrow_body(table, number)
        connection.request("POST", "/api/v1/telemetry", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
    connection.close()


def wait_for_rolls(server: LiveServer) -> int:
    """Wait until upkeep has nothing more to roll; return the number of segments."""
    segments, unchanged = -1, 0
    while unchanged < 3:
        time.sleep(UPKEEP_SECONDS)
        now = len(list((server.folder / "data" / "segments").glob("*.parquet")))
        unchanged = unchanged + 1 if now == segments else 0
        segments = now
    return segments


def measure_sensor(server: LiveServer, folder: Path) -> None:
    """Run the real sensor on this host for a while and print its memory."""
    config = folder / "sensor.yaml"
    settings = {"control_plane_port": server.port, "spool_dir": str(folder / "spool")}
    config.write_text(yaml.safe_dump({"data_plane": settings}), "utf-8")
    command = [sys.executable, "-m", "data_plane.collector", "-c", str(config)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as child:
        time.sleep(SENSOR_SECONDS)
        assert child.poll() is None, f"the sensor ended with {child.returncode}"
        peak = peak_mib(child.pid)
        child.terminate()
    print(
        f"{'sensor, peak':<34}{peak:>7.0f} MiB   target {TARGET_SENSOR}:"
        f" {verdict(peak, TARGET_SENSOR)}"
    )


if __name__ == "__main__":
    main()
