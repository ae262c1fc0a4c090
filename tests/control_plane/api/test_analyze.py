"""A pass on demand sees what was acknowledged before, and says what it found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from live_server import LiveServer, beacon, noise


def test_it_says_what_it_found(server: LiveServer) -> None:
    server.send(beacon(dst="203.0.113.50"))
    server.send(noise(dst="203.0.113.51"))

    done = server.analyze()

    assert done["status"] == "done"
    assert (done["pairs_analyzed"], done["beacons_found"]) == (2, 1)
    assert done["duration_seconds"] >= 0
    [found] = done["new"]
    assert server.fetch(f"beacons/{found}")["dst_ip"] == "203.0.113.50"


def test_the_next_pass_finds_nothing_new(server: LiveServer) -> None:
    first = server.analyze()
    second = server.analyze()

    assert second["run"] == first["run"] + 1
    assert second["new"] == []


def test_many_requests_at_once_share_passes(server: LiveServer) -> None:
    before = server.analyze()["run"]
    with ThreadPoolExecutor(12) as pool:
        runs = [done["run"] for done in pool.map(lambda _: server.analyze(), range(24))]

    assert max(runs) <= before + 24
    assert server.analyze()["run"] == max(runs) + 1
