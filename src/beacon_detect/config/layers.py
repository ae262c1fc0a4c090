"""Layers of settings: a tree of values, and the place where each of them was set.

A configuration is the defaults under a few layers (file, stored overrides,
environment). Keeping the place of every key and value through the merge is
what lets an error name ``file:line:column`` and ``config show --origin``
answer. Whether the values are valid is the schema's business, not a layer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from beacon_detect.config.schema import SPELLINGS
from beacon_detect.errors import ConfigError

KeyPath = tuple[str | int, ...]


class Origin(NamedTuple):
    """Where a value was set; sorts by layer, then by place in the file."""

    rank: int
    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Layer:
    """One source of values: a tree, the places of its values and of their keys."""

    tree: dict[str, Any] = field(default_factory=dict)
    values: dict[KeyPath, Origin] = field(default_factory=dict)
    keys: dict[KeyPath, Origin] = field(default_factory=dict)

    def place(self, path: KeyPath, *, of_key: bool = False) -> Origin | None:
        """Return where the value (or its key) was set, else where the nearest parent was."""
        places = self.keys if of_key else self.values
        cuts = (path[:length] for length in range(len(path), 0, -1))
        return next((places[cut] for cut in cuts if cut in places), None)


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: ``whitelist.source_ips[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def prefix(origin: Origin | None) -> str:
    """Return an origin as the start of a message."""
    return f"{origin}: " if origin else ""


def respell(layer: Layer) -> None:
    """Move documented second spellings to the settings they stand for."""
    for spelling, home in SPELLINGS.items():
        section = layer.tree.get(spelling[0])
        if not isinstance(section, dict) or spelling[-1] not in section:
            continue
        value = section.pop(spelling[-1])
        key = layer.place(spelling, of_key=True)
        branch: Any = layer.tree
        for part in home[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise ConfigError(
                    f"{prefix(key)}{dotted(spelling)}: {dotted(home[:-1])} is not a section"
                )
        if home[-1] in branch and branch[home[-1]] != value:
            other = layer.place(home, of_key=True)
            raise ConfigError(
                f"{prefix(key)}{dotted(spelling)}: also set as {dotted(home)}"
                f"{f' ({other})' if other else ''}; keep one of the two"
            )
        branch[home[-1]] = value
        for places in (layer.values, layer.keys):
            _move(places, spelling, home)


def _move(places: dict[KeyPath, Origin], source: KeyPath, target: KeyPath) -> None:
    for path in [p for p in places if p[: len(source)] == source]:
        places[target + path[len(source) :]] = places.pop(path)


def merge_layers(base: Layer, over: Layer) -> Layer:
    """Return ``base`` under ``over``, with the places of what holds."""
    replaced = set(_replaced(base.tree, over.tree, ()))

    def kept(places: dict[KeyPath, Origin]) -> dict[KeyPath, Origin]:
        # Items of a list that was replaced are gone, and so are their places.
        return {
            path: origin
            for path, origin in places.items()
            if not any(path[:cut] in replaced for cut in range(1, len(path)))
        }

    return Layer(
        merge_trees(base.tree, over.tree),
        kept(base.values) | over.values,
        kept(base.keys) | over.keys,
    )


def _replaced(base: Mapping[str, Any], over: Mapping[str, Any], path: KeyPath) -> list[KeyPath]:
    found: list[KeyPath] = []
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            found += _replaced(base[key], value, (*path, key))
        elif key in base:
            found.append((*path, key))
    return found


def merge_trees(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over``: sections merge, everything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge_trees(merged[key], value)
        else:
            merged[key] = value
    return merged
