"""Benign services with a timer: the third class, which timing cannot tell from an implant.

They are generated to be counted apart, never to be learnt from.  Limit: the
intervals are common defaults, not measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator


class Service(NamedTuple):
    """A service: its name, shortest and longest interval in seconds, relative and absolute jitter."""

    name: str
    shortest: float
    longest: float
    jitter: float
    seconds: float


SERVICES: Final = (
    Service("ntp", 64, 1_024, 0.0, 3.0),
    Service("lease", 1_800, 43_200, 0.01, 1.0),
    Service("updater", 3_600, 43_200, 0.12, 5.0),
    Service("telemetry", 60, 900, 0.10, 1.0),
    Service("push", 240, 1_680, 0.01, 0.5),
    Service("monitoring", 10, 60, 0.0, 0.05),
    Service("heartbeat", 25, 60, 0.03, 0.1),
    Service("connectivity", 60, 600, 0.02, 0.5),
    Service("mail", 300, 900, 0.02, 2.0),
)


def sleeps(rng: Generator, service: Service, count: int) -> np.ndarray:
    """Draw the sleeps of one service, seconds."""
    interval = rng.uniform(service.shortest, service.longest)
    delay = rng.uniform(-service.seconds, service.seconds, count)
    return np.maximum(
        interval * rng.uniform(1 - service.jitter, 1 + service.jitter, count) + delay, 0.05
    )
