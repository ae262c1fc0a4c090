"""The whitelist: traffic that is known and wanted, matched over whole columns.

It is applied when results are asked for and before an alert goes out, never
when records are stored or scored: an entry hides old results at once, and
removing it brings them back. Addresses are compared as 16-byte strings, so
the lists are sorted ranges and a row costs a binary search, not a walk of up
to 100,000 entries.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from beacon_detect.config.pairs import parse_pair
from beacon_detect.records import V4_PREFIX, pack_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from beacon_detect.config.schema import Whitelist as WhitelistConfig
    from beacon_detect.control_plane.findings import Finding

_ADDRESS = "S16"
_V4_FIRST = int.from_bytes(V4_PREFIX + bytes(4))
_V4_LAST = _V4_FIRST + 0xFFFFFFFF
_packed = lru_cache(maxsize=65_536)(pack_address)


class Networks:
    """A set of addresses and networks, IPv4 and IPv6, as sorted ranges that do not touch."""

    def __init__(self, entries: Iterable[str]) -> None:
        ranges = _merged(sorted(r for entry in entries for r in _ranges(entry)))
        self._first = np.array([first.to_bytes(16) for first, _ in ranges], _ADDRESS)
        self._last = np.array([last.to_bytes(16) for _, last in ranges], _ADDRESS)

    def __len__(self) -> int:
        return len(self._first)

    def contain(self, packed: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which of the ``(n, 16)`` addresses belong to the set."""
        if not len(self):
            return np.zeros(len(packed), np.bool_)
        # Fixed-width byte strings compare like big-endian numbers, zero bytes at the end included.
        rows = np.ascontiguousarray(packed).view(_ADDRESS).reshape(-1)
        at = np.searchsorted(self._first, rows, side="right") - 1
        inside: NDArray[np.bool_] = (at >= 0) & (rows <= self._last[np.maximum(at, 0)])
        return inside


def _ranges(entry: str) -> list[tuple[int, int]]:
    """Return the first and last 16-byte address of an entry, as numbers."""
    network = ipaddress.ip_network(entry, strict=False)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 4:
        return [(_V4_FIRST + first, _V4_FIRST + last)]
    if network.prefixlen < 96 and first <= _V4_FIRST <= last:
        # ::/0 means every IPv6 address: IPv4 lives inside its range only by our own encoding.
        parts = [(first, _V4_FIRST - 1), (_V4_LAST + 1, last)]
        return [part for part in parts if part[0] <= part[1]]
    return [(first, last)]


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return sorted ranges with those that overlap or touch made one."""
    merged: list[tuple[int, int]] = []
    for first, last in ranges:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _pair_rows(
    src: NDArray[np.uint8], dst: NDArray[np.uint8], dst_port: NDArray[Any]
) -> NDArray[np.bytes_]:
    """Return one 34-byte key per row: source, destination, port."""
    port = np.ascontiguousarray(dst_port, ">u2").view(np.uint8).reshape(-1, 2)
    return np.ascontiguousarray(np.hstack([src, dst, port])).view("S34").reshape(-1)


class Whitelist:
    """The compiled whitelist: an immutable value, replaced as a whole on a change."""

    def __init__(self, config: WhitelistConfig) -> None:
        self._sources = Networks(config.source_ips)
        self._destinations = Networks(config.destination_ips)
        self._ports = np.zeros(65_536, np.bool_)
        self._ports[np.array(config.destination_ports, np.int64)] = True
        self._pairs = _compile_pairs(config.pairs)
        self.entries = (
            len(config.source_ips)
            + len(config.destination_ips)
            + len(config.destination_ports)
            + len(config.pairs)
        )
        """Number of entries as written."""

    def hidden(
        self, src: NDArray[np.uint8], dst: NDArray[np.uint8], dst_port: NDArray[Any]
    ) -> NDArray[np.bool_]:
        """Return which rows are whitelisted.

        Parameters
        ----------
        src, dst
            Addresses, shape ``(n, 16)``, IPv4 mapped.
        dst_port
            Ports 0 to 65535, shape ``(n,)``.
        """
        hidden = self._ports[np.asarray(dst_port).astype(np.int64)]
        if len(self._sources):
            hidden |= self._sources.contain(src)
        if len(self._destinations):
            hidden |= self._destinations.contain(dst)
        if len(self._pairs):
            rows = _pair_rows(src, dst, dst_port)
            at = np.minimum(np.searchsorted(self._pairs, rows), len(self._pairs) - 1)
            hidden |= self._pairs[at] == rows
        return hidden

    def hidden_text(
        self, src: Sequence[str], dst: Sequence[str], dst_port: Sequence[int]
    ) -> NDArray[np.bool_]:
        """Return which rows are whitelisted, addresses given as text."""
        return self.hidden(
            pack_addresses(src), pack_addresses(dst), np.array(dst_port, np.int64).reshape(-1)
        )

    def visible(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings that are not whitelisted."""
        rows = list(findings)
        hidden = self.hidden_text(
            [finding.src for finding in rows],
            [finding.dst for finding in rows],
            [finding.dst_port for finding in rows],
        )
        return [finding for finding, hide in zip(rows, hidden, strict=True) if not hide]


def covering(config: WhitelistConfig, src: str, dst: str, dst_port: int) -> list[str]:
    """Return the entries that cover a pair as ``setting entry``, the first of each setting.

    Walks the lists, so it is for one pair that somebody asks about.
    """
    source, destination = _packed(src), _packed(dst)
    found = [
        f"{name} {entry}"
        for name, address in (("source_ips", source), ("destination_ips", destination))
        if (entry := next((e for e in getattr(config, name) if _holds(e, address)), ""))
    ]
    if dst_port in config.destination_ports:
        found.append(f"destination_ports {dst_port}")
    for entry in config.pairs:
        one, other, port = parse_pair(entry)
        if (_packed(one), _packed(other), port) == (source, destination, dst_port):
            return [*found, f"pairs {entry}"]
    return found


def _holds(entry: str, address: bytes) -> bool:
    return any(first <= int.from_bytes(address) <= last for first, last in _ranges(entry))


def _compile_pairs(entries: Iterable[str]) -> NDArray[np.bytes_]:
    """Return the sorted keys of ``source:destination:port`` entries."""
    parsed = [parse_pair(entry) for entry in entries]
    src = pack_addresses([source for source, _, _ in parsed])
    dst = pack_addresses([destination for _, destination, _ in parsed])
    return np.unique(_pair_rows(src, dst, np.array([port for _, _, port in parsed], np.int64)))


def pack_addresses(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the ``(n, 16)`` bytes of addresses given as text."""
    return np.frombuffer(b"".join(map(_packed, texts)), np.uint8).reshape(-1, 16)
