"""The sensor's main loop: kernel events in, batches for the control plane out.

One thread reads the ring, sweeps the flow map and decodes; spooling and
sending have threads of their own (see ``exporter``). Parts are started in
stages and stopped in reverse, so that a failing stage leaves nothing behind;
kernel programs go with the process however it ends.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from beacon_detect.config import load_config
from beacon_detect.config.schema import settings
from beacon_detect.data_plane.attachment import find_cgroup_root
from beacon_detect.data_plane.attribution.container import ContainerNames
from beacon_detect.data_plane.attribution.process import ProcessTable
from beacon_detect.data_plane.buffer import RecordBuffer, boot_now
from beacon_detect.data_plane.clock import WallClock
from beacon_detect.data_plane.decode import Decoder, Own
from beacon_detect.data_plane.exporter import Exporter, destination_of
from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.data_plane.memory import stay_small
from beacon_detect.data_plane.program import KernelProgram, ProgramOptions, require_host
from beacon_detect.data_plane.ring import STRIDE
from beacon_detect.data_plane.signals import Signals
from beacon_detect.data_plane.snapshot import open_connections
from beacon_detect.data_plane.spool import Spool
from beacon_detect.data_plane.state import read_boot_id, series_clock
from beacon_detect.data_plane.sweep import SWEEP_INTERVAL, Sweeper, Timeouts
from beacon_detect.errors import BeaconError
from beacon_detect.logs import configure_logging, set_level
from beacon_detect.records import SECOND, Kind
from beacon_detect.wire import BatchHeader

if TYPE_CHECKING:
    from beacon_detect.config import Config, LoadedConfig
    from beacon_detect.config.schema import DataPlane

POLL_INTERVAL = 0.05
"""Seconds between looks into the ring; short, because a process must live to be named."""
SHORTEST_POLL = 0.002
BUSY_FILL = 0.25
"""Share of the ring above which it is read sooner."""
HEARTBEAT_INTERVAL = 30.0
"""Seconds without records after which an empty batch says that the sensor lives."""
FINAL_EXPORT = 5.0
"""Longest wait for the control plane at the stop; what it does not take stays in the spool."""
PAGE_BYTES = 256 * 1024
"""A "page" of ``ring_buffer_pages``."""
_MIB = 1 << 20

log = structlog.get_logger()


def run_sensor(loaded: LoadedConfig) -> None:
    """Watch and export until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    Must be called in the main thread.

    Raises
    ------
    BeaconError
        Something the sensor needs is missing; says what and what to do.
    """
    stay_small()
    configure_logging(loaded.config.logging)
    with Signals() as signals, ExitStack() as stack:
        sensor = Sensor(loaded, stack)
        sensor.start()
        try:
            sensor.loop(signals)
        finally:
            sensor.finish()


def program_options(config: DataPlane) -> ProgramOptions:
    """Return what the kernel program needs of the configuration."""
    return ProgramOptions(
        ring_bytes=config.ring_buffer_pages * PAGE_BYTES,
        flow_map_size=config.flow_map_size,
        track_tcp=config.track_tcp,
        track_udp=config.track_udp,
        track_icmp=config.track_icmp,
        include_loopback=config.include_loopback,
        burst_idle_ns=int(config.burst_idle * SECOND),
    )


def what_is_watched(config: DataPlane) -> str:
    """Return one plain line for the operator."""
    names = [
        name
        for name, on in (
            ("TCP", config.track_tcp),
            ("UDP", config.track_udp),
            ("ICMP echo", config.track_icmp),
        )
        if on
    ]
    place = (
        f"packets on interface {config.interface}"
        if config.interface
        else "connections of this host and its containers"
    )
    loopback = "with" if config.include_loopback else "without"
    return f"watching {place}: {', '.join(names) or 'nothing'}, {loopback} loopback traffic"


class _Every:
    """Tells when a periodic task is due; missed times are not made up for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Sensor:
    """One run of the sensor: its parts, and the loop over them.

    Parameters
    ----------
    loaded
        The configuration.
    stack
        Closes the parts in reverse, also when building the next one fails.
    """

    def __init__(self, loaded: LoadedConfig, stack: ExitStack) -> None:
        config = loaded.config.data_plane
        self._loaded = loaded
        self._config = config
        self._losses = Losses()
        destination = destination_of(config)
        require_host(config.interface)
        self._program = stack.enter_context(KernelProgram.load(program_options(config)))
        self._spool = Spool(
            Path(config.spool_dir),
            max_bytes=config.spool_max_mb * _MIB,
            max_age=config.spool_max_age,
            losses=self._losses,
        )
        stack.callback(self._spool.close)
        self._clock = WallClock()
        series = series_clock(self._spool.folder, read_boot_id(), self._clock.offset)
        self._decoder = Decoder(
            self._clock,
            series,
            None if config.interface else ProcessTable(ContainerNames(groups=find_cgroup_root())),
            self._losses,
            Own(os.getpid(), config.control_plane_port),
        )
        self._header = BatchHeader(
            sensor=config.sensor_name,
            batch="",
            boot=series.boot_id,
            mode="gateway" if config.interface else "host",
            session=self._spool.new_batch_id(),
        )
        self._buffer = RecordBuffer(
            self._decoder,
            self._losses,
            self._new_header,
            interval=config.export_interval,
            capacity=config.max_buffer_size,
        )
        self._exporter = Exporter(self._spool, destination, self._losses)
        self._sweeper: Sweeper
        self._last_export = time.monotonic()
        self._poll = POLL_INTERVAL
        self._each_second = _Every(1.0)
        self._each_sweep = _Every(SWEEP_INTERVAL)

    def start(self) -> None:
        """Attach, take over what is open already, begin to send."""
        config = self._config
        if config.interface:
            self._program.attach_gateway(config.interface)
        else:
            self._program.attach_host()
        now = boot_now()
        inserted = self._take_snapshot(now) if config.track_tcp and not config.interface else 0
        self._sweeper = Sweeper(
            self._program.flows,
            self._decoder,
            self._losses,
            Timeouts.of(config),
            inserted=inserted,
            now=now,
        )
        self._exporter.start()
        log.info(
            what_is_watched(config),
            sensor=config.sensor_name,
            control_plane=f"{config.control_plane_host}:{config.control_plane_port}",
            spool=str(self._spool.folder),
            waiting=self._spool.waiting,
            open_before=inserted,
        )
        self._exporter.offer(self._buffer.heartbeat())

    def _new_header(self) -> BatchHeader:
        return replace(self._header, batch=self._spool.new_batch_id(), losses=self._losses.totals())

    def _take_snapshot(self, now: int) -> int:
        """Enter the connections that are open; those the kernel has met meanwhile are its own."""
        found = open_connections(now, include_loopback=self._config.include_loopback)
        inserted = self._program.flows.insert(found)
        flows = self._program.flows.snapshot()
        ours = flows[np.isin(self._decoder.ids(flows), self._decoder.ids(found))]
        kinds = np.full(len(ours), Kind.START, np.uint8)
        self._buffer.add(self._decoder.flows(kinds, ours, now))
        return inserted

    def loop(self, signals: Signals) -> None:
        """Work until told to stop."""
        while not signals.wait(self._poll):
            if signals.take_reload():
                self.reload()
            self._exporter.check()
            now = time.monotonic()
            self._read_ring()
            if self._each_second.due(now):
                self._keep_time_and_counters()
            if self._each_sweep.due(now):
                self._sweep()
            self._export(now)

    def finish(self) -> None:
        """Take what the kernel still holds, report open connections once more, send or spool all."""
        try:
            self._read_ring()
            self._sweep(last=True)
            if not self._buffer.hand_over(partial(self._exporter.offer, wait=FINAL_EXPORT)):
                self._losses.add(Loss.HANDOVER_FULL, len(self._buffer))
        finally:
            self._exporter.stop(FINAL_EXPORT)
        log.info(
            "sensor stopped",
            records_sent=self._exporter.statistics.records,
            batches_waiting=self._spool.waiting,
            losses=self._losses.totals(),
        )

    def _read_ring(self) -> None:
        events = self._program.ring.read()
        fill = len(events) * STRIDE / self._program.ring.ring_bytes
        wanted = self._poll * BUSY_FILL / fill if fill else POLL_INTERVAL
        self._poll = min(max(wanted, SHORTEST_POLL), POLL_INTERVAL)
        self._buffer.add_events(events)

    def _keep_time_and_counters(self) -> None:
        if step := self._clock.sample():
            log.warning("wall clock stepped", seconds=step / SECOND, steps=self._clock.steps)
        counters = self._program.counters()
        self._losses.raise_to(Loss.RING_FULL, counters["ring_full"])
        self._losses.raise_to(Loss.MAP_FULL, counters["map_full"])

    def _sweep(self, *, last: bool = False) -> None:
        # STARTs already read must be decoded while the ledger knows which were made up.
        self._buffer.settle()
        counters = self._program.counters()
        self._buffer.add(self._sweeper.sweep(boot_now(), counters, last=last))

    def _export(self, now: float) -> None:
        """Hand over what is due; in quiet times say that the sensor lives."""
        if self._buffer.is_due(now):
            if self._buffer.hand_over(self._exporter.offer):
                self._last_export = now
        # Nothing is told by a heartbeat while batches wait for the control plane.
        elif now - self._last_export >= HEARTBEAT_INTERVAL and self._exporter.idle:
            self._exporter.offer(self._buffer.heartbeat())
            self._last_export = now

    def reload(self) -> None:
        """Read the configuration again; take over all that can change while running, or nothing."""
        try:
            fresh = load_config(self._loaded.file)
        except BeaconError as error:
            log.error("configuration not taken over", error=str(error))  # noqa: TRY400
            return
        config = fresh.config.data_plane
        self._buffer.interval = config.export_interval
        self._buffer.capacity = config.max_buffer_size
        self._sweeper.timeouts = Timeouts.of(config)
        self._spool.resize(max_bytes=config.spool_max_mb * _MIB, max_age=config.spool_max_age)
        set_level(fresh.config.logging.level)
        log.info(
            "configuration taken over",
            needs_restart=needing_restart(self._loaded.config, fresh.config),
        )


def needing_restart(running: Config, fresh: Config) -> list[str]:
    """Return the sensor's settings that differ and take effect only with a restart."""
    changed = []
    for path, info in settings():
        if path[0] not in ("data_plane", "logging") or not info.json_schema_extra["restart"]:
            continue
        section, name = path
        if getattr(getattr(running, section), name) != getattr(getattr(fresh, section), name):
            changed.append(".".join(path))
    return changed
