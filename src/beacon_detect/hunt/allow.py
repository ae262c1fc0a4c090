"""The allow file: known traffic that is left out of the list, one entry a line.

    # what is after a hash is a comment
    203.0.113.7            a destination address or network
    src 10.0.0.9           a source address or network
    port 123               a destination port
    domain example.com     a name and every name below it
    pair 10.0.0.5:192.0.2.1:443

Limit: entries are matched on the ranked rows; the series are scored all the same.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from beacon_detect.config.pairs import parse_pair
from beacon_detect.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from beacon_detect.hunt.ranking import Row

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AllowList:
    """Entries of an allow file."""

    def __init__(self) -> None:
        # Each with the entry as it was written.
        self._networks: dict[str, list[tuple[_Network, str]]] = {"src": [], "dst": []}
        self._ports: dict[int, str] = {}
        self._domains: dict[str, str] = {}
        self._pairs: dict[tuple[str, str, int], str] = {}

    def add(self, line: str) -> None:
        """Take one line; ValueError says what is wrong with it."""
        words = line.partition("#")[0].split()
        if not words:
            return
        entry = " ".join(words)
        kind, value = (words[0].lower(), words[1]) if len(words) == 2 else ("dst", words[0])
        if len(words) > 2 or kind not in {"src", "dst", "port", "domain", "pair"}:
            raise ValueError(
                "an entry is: [src|dst] ADDRESS, port NUMBER, domain NAME or pair A:B:PORT"
            )
        if kind == "port":
            if not value.isdecimal() or int(value) > 65_535:
                raise ValueError(f"{value!r} is no port")
            self._ports[int(value)] = entry
        elif kind == "domain":
            self._domains[value.lower().removeprefix("*.").strip(".")] = entry
        elif kind == "pair":
            source, destination, port = parse_pair(value)
            self._pairs[_plain(source), _plain(destination), port] = entry
        else:
            self._networks[kind].append((ipaddress.ip_network(value, strict=False), entry))

    def entries(self, src: str, dst: str, dport: int, name: str) -> Iterator[str]:
        """Yield the entries that cover a pair, as they were written."""
        if dport in self._ports:
            yield self._ports[dport]
        if (src, dst, dport) in self._pairs:
            yield self._pairs[src, dst, dport]
        labels = name.lower().strip(".").split(".") if name else []
        for i in range(len(labels)):
            entry = self._domains.get(".".join(labels[i:]))
            if entry is not None:
                yield entry
        yield from _containing(src, self._networks["src"])
        yield from _containing(dst, self._networks["dst"])

    def covers(self, row: Row) -> bool:
        """Say whether an entry covers the pair."""
        return next(self.entries(row.src, row.dst, row.dport, row.name), None) is not None

    def split(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        """Return the rows that no entry covers, and how many are covered."""
        kept = [row for row in rows if not self.covers(row)]
        return kept, len(rows) - len(kept)


def _plain(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _containing(address: str, networks: list[tuple[_Network, str]]) -> Iterator[str]:
    if not networks:
        return
    value = ipaddress.ip_address(address)
    yield from (entry for network, entry in networks if value in network)


def read_allow_file(path: Path) -> AllowList:
    """Read an allow file.

    Raises
    ------
    DataError
        The file cannot be read, or a line is no entry (with its number).
    """
    allowed = AllowList()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        try:
            allowed.add(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
    return allowed
