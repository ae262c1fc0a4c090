"""One worker thread a channel: takes its pending deliveries, tries, retries, writes down the end.

Channels share nothing but the store, so a dead receiver holds up only itself.
A worker keeps a few alerts in memory; what waits is in the store, and so is
the end of every attempt, so a restart goes on where the last process
stopped. A delivery is repeated only when the process dies after the receiver
acknowledged and before that is committed: at least once, with the alert's id
to tell repetitions apart.

A failed channel waits longer after each failure (with jitter). A channel that
never gives up keeps its alerts in order; one that does (the webhook) lets
younger alerts pass, and tries each new one at once.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from beacon_detect.control_plane.alerts.channel import (
    PermanentFailureError,
    TemporaryFailureError,
)
from beacon_detect.control_plane.storage import alert_store
from beacon_detect.control_plane.storage.alert_store import Attempt, DeliveryState, Pending

if TYPE_CHECKING:
    from beacon_detect.control_plane.alerts.channel import Channel, ChannelSpec, RetryPolicy
    from beacon_detect.control_plane.storage.store import Store

log = structlog.get_logger(__name__)

_IDLE_LOOK = 60.0
"""Seconds between two looks at the store when nobody says that there is something new."""

_STORE_WAIT = 5.0
"""Seconds to wait after the store failed (disk full, for example)."""

_PAGE = 32
"""Pending deliveries read at once: a backlog of thousands is not searched for each of them."""

_JITTER = 0.2
"""Each wait is up to this fraction shorter or longer, so that many senders spread out."""


class DeliveryWorker:
    """Delivers the alerts of one channel.

    Parameters
    ----------
    spec
        The channel.
    store
        Where its deliveries are.
    """

    def __init__(self, spec: ChannelSpec, store: Store) -> None:
        self._spec = spec
        self._store = store
        self._wanted: Any = None
        self._settings: Any = None
        self._channel: Channel | None = None
        self._page: deque[Pending] = deque()
        self._retry_at = 0.0
        self._hold_until = 0.0
        self._stopping = False
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alerts-{spec.name}", daemon=True)

    def configure(self, settings: Any) -> None:
        """Deliver with these settings from the next alert on; deliver nothing while disabled."""
        self._wanted = settings
        self._news.set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be something to deliver."""
        self._news.set()

    def ask_to_stop(self) -> None:
        """Begin nothing further; the attempt under way ends by itself."""
        self._stopping = True
        self._news.set()

    def join(self, timeout: float) -> bool:
        """Return whether the thread ended within ``timeout`` seconds."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            if self._news.is_set():
                self._news.clear()
                self._page.clear()
            try:
                pause = self._step()
            except Exception:
                log.exception("alert delivery interrupted", channel=self._spec.name)
                pause = _STORE_WAIT
            if pause > 0 and not self._stopping:
                self._page.clear()
                self._news.wait(pause)
        self._close()

    def _step(self) -> float:
        """Do the next thing, if there is one; return how long to wait for news, seconds."""
        if self._wanted != self._settings:
            self._reopen()
        if self._channel is None:
            return _IDLE_LOOK
        policy = self._spec.policy(self._settings)
        in_order = policy.limit is None
        if not self._page:
            self._page.extend(
                alert_store.next_pending(
                    self._store, self._spec.name, in_order=in_order, limit=_PAGE
                )
            )
        if not self._page:
            return _IDLE_LOOK
        pending = self._page.popleft()
        untried = pending.attempts == 0 and not in_order
        pause = (self._hold_until if untried else self._retry_at) - time.monotonic()
        if pause > 0:
            return pause
        self._attempt(self._channel, policy, pending)
        return 0.0

    def _reopen(self) -> None:
        """Change to the settings wanted; what waits is tried with them at once."""
        self._close()
        settings = self._wanted
        if settings.enabled:
            self._channel = self._spec.open(settings)
        self._settings = settings
        self._retry_at = self._hold_until = 0.0

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _attempt(self, channel: Channel, policy: RetryPolicy, pending: Pending) -> None:
        wait = 0.0
        try:
            channel.deliver(pending.alert)
        except PermanentFailureError as error:
            self._end(pending, DeliveryState.FAILED, str(error))
            return
        except TemporaryFailureError as error:
            reason, wait = str(error), error.wait
        except Exception as error:  # noqa: BLE001 - one broken alert must not end the thread
            # A fault of ours. Its text or a traceback could show the settings' secrets.
            reason = f"internal error: {type(error).__name__} at {_place(error)}"
        else:
            self._retry_at = self._hold_until = 0.0
            self._end(pending, DeliveryState.DELIVERED, "")
            return
        self._page.clear()
        failures = pending.attempts + 1
        now = time.monotonic()
        self._hold_until = now + wait
        self._retry_at = now + max(wait, _jittered(policy.wait(failures)))
        if policy.limit is not None and failures > policy.limit:
            self._end(pending, DeliveryState.FAILED, f"gave up after {failures} attempts: {reason}")
        else:
            self._end(pending, DeliveryState.PENDING, reason)

    def _end(self, pending: Pending, state: DeliveryState, error: str) -> None:
        """Commit the end of an attempt; not before that does the next one begin."""
        attempt = Attempt(
            alert_id=pending.alert.id,
            channel=self._spec.name,
            state=state,
            error=error,
            time=time.time_ns(),
        )
        if state is not DeliveryState.DELIVERED:
            self._complain(attempt, pending.attempts + 1)
        while not self._committed(attempt):
            # Delivering again what the receiver has would be worse than waiting for the store.
            if self._stopping:
                return
            self._news.wait(_STORE_WAIT)
            self._news.clear()
            self._page.clear()

    def _complain(self, attempt: Attempt, attempts: int) -> None:
        """Log a failure: the 1st, 2nd, 4th, 8th … and the last, not one a minute for days."""
        given_up = attempt.state is DeliveryState.FAILED
        if given_up or attempts & (attempts - 1) == 0:
            log.warning(
                "alert not delivered",
                channel=attempt.channel,
                alert=attempt.alert_id,
                attempts=attempts,
                given_up=given_up,
                error=attempt.error,
            )

    def _committed(self, attempt: Attempt) -> bool:
        try:
            self._store.transact(
                lambda connection: alert_store.record_attempt(connection, attempt)
            ).result()
        except Exception:
            log.exception("alert delivery not recorded", channel=attempt.channel)
            return False
        return True


def _place(error: Exception) -> str:
    """Return the file and line that raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load
