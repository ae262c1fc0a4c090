"""Real traffic for the end-to-end tests; run inside a namespace as a process of its own.

``listen``   answers every TCP connection on a beacon port and echoes on noise ports.
``beacon``   connects once a second with 20 % jitter, a fixed number of times.
``serve``    answers every request of connections that stay open.
``poll``     opens one connection and asks through it, a fixed number of times.
``noise``    visits other ports at irregular times, over IPv4, IPv6 and UDP.
"""

from __future__ import annotations

import random
import selectors
import socket
import sys
import time

REQUEST, ANSWER = 113, 211
NOISE_PORTS = (8081, 8082, 8083)
UDP_PORT = 8090


def listen(port: int) -> None:
    """Serve until the process is ended."""
    selector = selectors.DefaultSelector()
    for number in (port, *NOISE_PORTS):
        server = socket.create_server(
            ("::", number), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128
        )
        selector.register(server, selectors.EVENT_READ, number)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("::", UDP_PORT))
    selector.register(udp, selectors.EVENT_READ, UDP_PORT)
    print("listening", flush=True)
    while True:
        for key, _ in selector.select():
            if key.data == UDP_PORT:
                data, peer = udp.recvfrom(2048)
                udp.sendto(data, peer)
                continue
            peer_socket, _ = key.fileobj.accept()
            with peer_socket:
                peer_socket.settimeout(60)
                wanted = REQUEST
                while wanted > 0 and (data := peer_socket.recv(wanted)):
                    wanted -= len(data)
                peer_socket.sendall(bytes(ANSWER))


def exchange(address: str, port: int) -> None:
    """Make one connection with exactly REQUEST bytes out and ANSWER bytes in."""
    with socket.create_connection((address, port), timeout=60) as connection:
        connection.sendall(bytes(REQUEST))
        wanted = ANSWER
        while wanted > 0 and (data := connection.recv(wanted)):
            wanted -= len(data)
        connection.recv(1)


def beacon(address: str, port: int, count: int, interval: float = 1.0) -> None:
    """Check in ``count`` times, each sleep drawn from interval ± 20 %; print when, in seconds."""
    rng = random.Random(20)
    for number in range(count):
        if number:
            time.sleep(interval * rng.uniform(0.8, 1.2))
        print(time.monotonic(), flush=True)
        exchange(address, port)


def serve(port: int) -> None:
    """Serve one connection after the other until the process is ended."""
    with socket.create_server(("", port)) as server:
        print("listening", flush=True)
        while True:
            peer, _ = server.accept()
            with peer:
                while _received(peer, REQUEST):
                    peer.sendall(bytes(ANSWER))


def _received(peer: socket.socket, wanted: int) -> bool:
    """Read exactly ``wanted`` bytes; False when the peer is gone before."""
    while wanted > 0 and (data := peer.recv(wanted)):
        wanted -= len(data)
    return wanted == 0


def poll(address: str, port: int, count: int, interval: float) -> None:
    """Ask ``count`` times through one connection, with a silence of ``interval`` in between."""
    with socket.create_connection((address, port), timeout=60) as connection:
        for number in range(count):
            if number:
                time.sleep(interval)
            connection.sendall(bytes(REQUEST))
            _received(connection, ANSWER)


def noise(v4: str, v6: str, seconds: float) -> None:
    """Visit one place after another until the time is over, a few connections each.

    The times are as irregular as browsing: of exponential ones, one run in twenty looks
    like a beacon for a while, and another load makes another run.
    """
    rng = random.Random(10)
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        while time.monotonic() < deadline:
            time.sleep(min(rng.lognormvariate(0.0, 1.0), 6.0))
            place, port = rng.randrange(5), rng.choice(NOISE_PORTS)
            for _ in range(rng.randrange(3, 13)):
                time.sleep(min(rng.lognormvariate(-2.5, 1.6), 2.0))
                if place == 4:
                    udp.sendto(bytes(rng.randrange(10, 400)), (v4, UDP_PORT))
                else:
                    exchange((v4, v6)[place % 2], port)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "listen":
        listen(int(arguments[0]))
    elif what == "beacon":
        beacon(arguments[0], int(arguments[1]), int(arguments[2]), float(arguments[3]))
    elif what == "serve":
        serve(int(arguments[0]))
    elif what == "poll":
        poll(arguments[0], int(arguments[1]), int(arguments[2]), float(arguments[3]))
    elif what == "noise":
        noise(arguments[0], arguments[1], float(arguments[2]))
