"""What a channel is: a way for alerts to leave the machine, and how its failures are retried.

A new channel is one file in ``channels/``, one line in its registry, one test
and one page; it knows nothing of threads, retries or the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from beacon_detect.control_plane.alerts.message import Alert


class TemporaryFailureError(Exception):
    """The receiver could not take the alert now; the message holds no secret.

    Parameters
    ----------
    message
        What failed, for the operator.
    wait
        Seconds for which the receiver asked to be left alone; 0 when it did not.
    """

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class PermanentFailureError(Exception):
    """The receiver will never take this alert; the message holds no secret."""


class Channel(Protocol):
    """A way out for alerts; used by one thread only."""

    def deliver(self, alert: Alert) -> None:
        """Return once the receiver has the alert.

        Raises
        ------
        TemporaryFailureError
            Trying again later may help.
        PermanentFailureError
            It will not.
        """

    def close(self) -> None:
        """Let go of sockets and files; may be called twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to wait after a failure and when to give up."""

    first: float
    """Seconds before the first retry; doubled for each further one."""
    longest: float
    """Longest wait, seconds."""
    limit: int | None
    """Retries before a delivery is given up; None: never, and alerts keep their order."""

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after the given number of failures in a row, 1 or more."""
        doublings = min(failures - 1, 64)
        return min(self.first * 2.0**doublings, self.longest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSpec:
    """One registered channel; ``settings`` is its section of the configuration."""

    name: str
    """Name of its section under ``alerting``, its file and its page."""
    open: Callable[[Any], Channel]
    """Make the channel from its settings; does no I/O, so that a reload cannot fail here."""
    policy: Callable[[Any], RetryPolicy]
    wants: Callable[[Any, str], bool] = lambda _settings, _severity: True
    """Whether an alert of a severity is for this channel."""
