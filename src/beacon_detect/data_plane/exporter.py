"""Takes batches, spools them, and sends the spool's oldest first until nothing waits.

Two threads, so that a slow control plane never holds up the spooling and a
slow disk never holds up the ring reader: the spooler and the sender. The
hand-over is bounded; when it is full :meth:`Exporter.offer` says so and the
records stay where they are. A batch leaves the
spool only when the answer names it as accepted, so delivery is at least once
and the control plane tells re-sent batches by their id.
"""

from __future__ import annotations

import json
import os
import queue
import random
import threading
import time
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from beacon_detect.data_plane.losses import Loss, Losses
from beacon_detect.errors import ConfigError
from beacon_detect.wire import ARROW_CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

    from beacon_detect.config.schema import DataPlane
    from beacon_detect.data_plane.buffer import EncodedBatch
    from beacon_detect.data_plane.spool import Spool, SpooledBatch

HANDOVER_BATCHES = 4
"""Batches that may wait for the spooler."""
FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 30.0
CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 30.0
"""The control plane answers after its commit, which a checkpoint may delay by seconds."""
LONGEST_ANSWER = 65_536
"""Bytes read of an answer; ours are a line long."""
_SPOOL_RETRY = 1.0

log = structlog.get_logger()


class Answer(Enum):
    """What the control plane's answer means for the batch."""

    ACCEPTED = auto()
    INVALID = auto()
    """This batch will never be accepted."""
    LATER = auto()


RETRIED_CLIENT_ERRORS = frozenset({401, 403, 404, 405, 408, 421, 425, 429})
"""4xx that speak of the token, the address or the moment, not of the batch.

404, 405 and 421 come from something that is not our control plane (a wrong
port, a proxy): no reason to throw records away.
"""


def judge(status: int, body: bytes, batch: str) -> tuple[Answer, str]:
    """Return what an HTTP answer means for ``batch``, and why in words."""
    if status in (200, 202):
        try:
            answer = json.loads(body)
            accepted = answer["status"] == "accepted" and answer["batch"] == batch
        except (ValueError, TypeError, KeyError):
            accepted = False
        if accepted:
            return Answer.ACCEPTED, ""
        return Answer.LATER, "the answer is not that of a Beacon Detect control plane"
    detail = _detail(body)
    if status in (401, 403):
        return Answer.LATER, f"the token is missing or wrong ({status}){detail}"
    if 400 <= status < 500 and status not in RETRIED_CLIENT_ERRORS:
        return Answer.INVALID, f"HTTP {status}{detail}"
    return Answer.LATER, f"HTTP {status}{detail}"


def _detail(body: bytes) -> str:
    """Return the ``detail`` of a problem document, for the log."""
    try:
        return f": {str(json.loads(body)['detail'])[:300]}"
    except (ValueError, TypeError, KeyError):
        return ""


def backoff(failures: int, uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Return the seconds to wait after so many failures in a row: doubling, capped, jittered."""
    ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 16))
    return uniform(ceiling / 2, ceiling)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where telemetry goes."""

    url: str
    token: Callable[[], str]
    """Returns the API token to send, or an empty string; asked for each request."""


TOKEN_VARIABLE = "BEACON_API_TOKEN"  # noqa: S105 - the name of a variable, not a secret
TELEMETRY_PATH = "/api/v1/telemetry"


def destination_of(config: DataPlane) -> Destination:
    """Return the control plane of the configuration.

    Raises
    ------
    ConfigError
        The address is none, or the token file cannot be read.
    """
    import httpx2

    host = config.control_plane_host
    authority = f"[{host}]" if ":" in host else host
    url = f"http://{authority}:{config.control_plane_port}{TELEMETRY_PATH}"
    try:
        if httpx2.URL(url).host != host:
            raise ConfigError(f"data_plane.control_plane_host: not a host name: {host!r}")
    except httpx2.InvalidURL as error:
        raise ConfigError(f"data_plane.control_plane_host: {error}") from None
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if given or not config.token_file:
        return Destination(url, lambda: given)
    file = Path(config.token_file)
    try:
        file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"data_plane.token_file: {file} cannot be read: {error}",
            hint=f"name a file with the token in it, or set {TOKEN_VARIABLE}",
        ) from None
    # Read anew for each request, so that a token can be exchanged without a restart.
    return Destination(url, lambda: file.read_text("utf-8").strip())


@dataclass(slots=True)
class ExportStatistics:
    """What left the sensor so far."""

    batches: int = 0
    records: int = 0
    failures: int = 0
    """Attempts that did not end with an acknowledgement."""


class Exporter:
    """The spooler and sender threads between the collector and the control plane."""

    def __init__(self, spool: Spool, destination: Destination, losses: Losses) -> None:
        self.statistics = ExportStatistics()
        self._spool = spool
        self._destination = destination
        self._losses = losses
        self._handover: queue.Queue[EncodedBatch | None] = queue.Queue(HANDOVER_BATCHES)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._spooled_all = threading.Event()
        self._failure: Exception | None = None
        self._spooler = self._thread("spooler", self._spool_all)
        self._sender = self._thread("sender", self._send_all)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._run, args=(work,), name=name, daemon=True)

    def start(self) -> None:
        """Start both threads; what an earlier run left is sent at once."""
        self._spooler.start()
        self._sender.start()

    def offer(self, batch: EncodedBatch, *, wait: float = 0.0) -> bool:
        """Hand over a batch; False when there is no room, even after ``wait`` seconds."""
        try:
            self._handover.put(batch, block=wait > 0, timeout=wait or None)
        except queue.Full:
            return False
        return True

    @property
    def idle(self) -> bool:
        """Whether everything handed over has been acknowledged."""
        return self._handover.unfinished_tasks == 0 and self._spool.waiting == 0

    def check(self) -> None:
        """Raise the error that ended one of the threads, if one did."""
        if self._failure is not None:
            raise self._failure

    def stop(self, timeout: float) -> None:
        """Spool what was handed over, try to send everything, give up after ``timeout`` seconds.

        What is not acknowledged by then stays in the spool for the next start.
        """
        deadline = time.monotonic() + timeout
        self._stopping.set()
        if self._failure is None:
            self._handover.put(None)
        for thread in (self._spooler, self._sender):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, work: Callable[[], None]) -> None:
        """Run a thread's work; its death is the collector's to know, not to be overlooked."""
        try:
            work()
        except Exception as error:
            log.exception("exporter thread ended", thread=threading.current_thread().name)
            self._failure = error

    def _spool_all(self) -> None:
        while (batch := self._handover.get()) is not None:
            self._spool_durably(batch)
            self._handover.task_done()
            self._wake.set()
        self._spooled_all.set()
        self._wake.set()

    def _spool_durably(self, batch: EncodedBatch) -> None:
        """Write one batch, again and again while the disk refuses it; give up at the stop."""
        while True:
            try:
                self._spool.write(batch.batch, batch.records, batch.body)
            except OSError as error:
                log.warning("spool not writable", folder=str(self._spool.folder), error=str(error))
                if self._stopping.wait(_SPOOL_RETRY):
                    self._losses.add(Loss.SPOOL_UNWRITABLE, batch.records)
                    return
            else:
                return

    def _send_all(self) -> None:
        failures = 0
        with _client() as client:
            while True:
                taken = self._spool.take_oldest()
                if taken is None:
                    if self._spooled_all.is_set():
                        return
                    self._wake.wait()
                    self._wake.clear()
                elif self._send(client, *taken, failures):
                    failures = 0
                elif self._spooled_all.is_set():
                    return
                else:
                    failures += 1
                    # The stop cuts the wait short and leaves time for one last attempt.
                    self._spooled_all.wait(backoff(failures))

    def _send(self, client: httpx2.Client, entry: SpooledBatch, body: bytes, failures: int) -> bool:
        """Try one batch; return whether the next may follow at once."""
        answer, reason = self._post(client, entry.batch, body)
        if answer is Answer.ACCEPTED:
            if failures:
                log.info("control plane is back", waiting=self._spool.waiting)
            # Before it is acknowledged: who sees that nothing waits finds it counted.
            self.statistics.batches += 1
            self.statistics.records += entry.records
            self._spool.acknowledge(entry)
            return True
        self.statistics.failures += 1
        if answer is Answer.INVALID:
            log.error("batch refused, moved to quarantine", batch=entry.batch, reason=reason)
            self._spool.reject(entry)
            return True
        self._spool.put_back(entry)
        if failures == 0:
            log.warning("control plane does not take telemetry, batches wait in the spool",
                        url=self._destination.url, reason=reason)  # fmt: skip
        return False

    def _post(self, client: httpx2.Client, batch: str, body: bytes) -> tuple[Answer, str]:
        import httpx2

        headers = {"Content-Type": ARROW_CONTENT_TYPE, "Accept-Encoding": "identity"}
        try:
            if token := self._destination.token():
                headers["Authorization"] = f"Bearer {token}"
            with client.stream(
                "POST", self._destination.url, content=body, headers=headers
            ) as response:
                return judge(response.status_code, _read_answer(response), batch)
        except (httpx2.TransportError, OSError, UnicodeError) as error:
            return Answer.LATER, f"{type(error).__name__}: {error}"


def _read_answer(response: httpx2.Response) -> bytes:
    """Return the body, cut short when it is too long to be one of ours."""
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LONGEST_ANSWER:
            break
    return body


def _client() -> httpx2.Client:
    import httpx2

    return httpx2.Client(
        timeout=httpx2.Timeout(ANSWER_TIMEOUT, connect=CONNECT_TIMEOUT), trust_env=False
    )
