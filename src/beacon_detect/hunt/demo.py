"""A made-up working day of a small office, with a few implants in it, as a CSV file.

For the first minute with the tool. Addresses are those reserved for
documentation and private networks, names end in example names; the same seed
gives the same day. Limit: it shows what a report looks like, and measures
nothing about the detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 20260105
START = 1_767_598_200.0
"""2026-01-05 07:30 UTC, a Monday."""
DAY = 10 * 3600.0
HEADER = "ts,src,sport,dst,dport,proto,orig_bytes,resp_bytes,duration,name\n"


class Talk(NamedTuple):
    """Connections of one pair."""

    times: NDArray[np.float64]
    src: str
    dst: str
    dport: int
    proto: str
    sent: NDArray[np.int64]
    received: NDArray[np.int64]
    name: str


def _sleeps(
    random: np.random.Generator, first: float, last: float, sleep: float, jitter: float
) -> NDArray[np.float64]:
    """Return check-ins from ``first`` to ``last`` (s): sleep, less a share of it up to ``jitter``."""
    steps = sleep * (1 - jitter * random.random(int((last - first) / sleep / (1 - jitter)) + 2))
    times = first + np.cumsum(steps)
    return times[times < last]


def _talk(
    random: np.random.Generator, times: NDArray[np.float64], src: str, dst: str, name: str,
    *, dport: int = 443, proto: str = "tcp", sent: int = 900, received: int = 4000, spread: float = 0.8,
) -> Talk:  # fmt: skip
    def sizes(middle: int) -> NDArray[np.int64]:
        return (middle * random.lognormal(0, spread, len(times))).astype(np.int64)

    return Talk(times, src, dst, dport, proto, sizes(sent), sizes(received), name)


def _implants(random: np.random.Generator) -> Iterator[Talk]:
    """Yield what should be found."""
    plain = _sleeps(random, 5_400, DAY, 60, 0.2)
    yield _talk(random, plain, "10.0.0.23", "203.0.113.50", "cdn.updates.example", sent=310, received=190, spread=0.02)  # fmt: skip
    slow = _sleeps(random, 600, DAY, 900, 0.35)
    yield _talk(random, slow, "10.0.0.31", "198.51.100.77", "", dport=8443, sent=450, received=220, spread=0.05)  # fmt: skip
    lossy = _sleeps(random, 12_000, 27_000, 30, 0.05)
    kept = lossy[random.random(len(lossy)) > 0.15]
    yield _talk(random, kept, "10.0.0.17", "203.0.113.99", "img.static.example", dport=80, sent=220, received=600, spread=0.1)  # fmt: skip
    polls = _sleeps(random, 0, DAY, 300, 0.1)
    bursts = np.sort(np.concatenate([polls, polls + 0.4, polls + 0.9]))
    yield _talk(random, bursts, "10.0.0.44", "192.0.2.180", "api.telemetry.example", sent=800, received=300, spread=0.3)  # fmt: skip


def _services(random: np.random.Generator, hosts: list[str]) -> Iterator[Talk]:
    """Yield what is regular and wanted: many hosts, the same few destinations."""
    for i, host in enumerate(hosts):
        clock = _sleeps(random, 60 * i, DAY, 1024, 0.004)
        yield _talk(random, clock, host, "10.0.0.1", "ntp.office.example", dport=123, proto="udp", sent=48, received=48, spread=0.0)  # fmt: skip
        push = _sleeps(random, 45 * i, DAY, 600, 0.15)
        yield _talk(
            random, push, host, "198.51.100.10", "push.mail.example", sent=700, received=350
        )


def _browsing(random: np.random.Generator, hosts: list[str]) -> Iterator[Talk]:
    """Yield what people do: pages with many connections, then silence."""
    sites = [(f"198.51.100.{120 + i}", f"site{i}.example") for i in range(60)]
    for host in hosts:
        chosen = random.choice(len(sites), 14, replace=False)
        for site in chosen:
            visits = np.sort(random.uniform(1_800, DAY - 1_800, random.integers(3, 22)))
            extra = [
                visits + random.exponential(0.8, len(visits)) for _ in range(random.integers(1, 5))
            ]
            times = np.sort(np.concatenate([visits, *extra]))
            dst, name = sites[site]
            yield _talk(random, times, host, dst, name, sent=1500, received=30_000, spread=1.2)


def write_demo(path: Path) -> int:
    """Write the day to ``path``; return the number of connections."""
    random = np.random.default_rng(SEED)
    hosts = [f"10.0.0.{i}" for i in range(12, 52)]
    lines: list[tuple[float, str]] = []
    for talk in (*_implants(random), *_services(random, hosts), *_browsing(random, hosts)):
        ports = random.integers(32_768, 61_000, len(talk.times)).tolist()
        lengths = (0.05 + random.exponential(0.2, len(talk.times))).tolist()
        columns = (talk.times.tolist(), ports, talk.sent.tolist(), talk.received.tolist(), lengths)
        for at, port, sent, received, length in zip(*columns, strict=True):
            lines.append((at, f"{START + at:.6f},{talk.src},{port},{talk.dst},{talk.dport},{talk.proto},{sent},{received},{length:.6f},{talk.name}\n"))  # fmt: skip
    lines.sort()
    path.write_text(HEADER + "".join(line for _, line in lines), "utf-8")
    return len(lines)
