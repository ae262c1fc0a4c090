"""Reads a YAML file into a layer: values, and the line and column of each key and value.

The parser's own values are built node by node so that every place is kept and
every bound is checked on the way: size, number of values (aliases counted as
often as they are used), depth. Merge keys (``<<``) and keys that are not plain
text are refused; configuration needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from beacon_detect.config.layers import KeyPath, Layer, Origin, dotted
from beacon_detect.config.schema import section_paths
from beacon_detect.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 4 << 20
MAX_VALUES = 400_000
MAX_DEPTH = 16

# libyaml reads a whitelist of 100,000 entries in a second, the Python parser in twenty.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path, rank: int) -> Layer:
    """Return the values of a YAML file as layer ``rank``; ConfigError when it is none."""
    text = _read_text(path)
    try:
        _check_depth(text, path)
        loader = _Loader(text)
        try:
            return _Builder(path, rank, loader).build(loader.get_single_node())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            # One byte more than allowed, so that devices and pipes are bounded too.
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}",
            hint="name a readable file with -c, or leave -c away to use the defaults",
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text (byte {error.start})") from None


def _check_depth(text: str, path: Path) -> None:
    """Refuse deep nesting before the composer, which is recursive, crashes on it."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            mark: Any = event.start_mark
            raise ConfigError(
                f"{path}:{mark.line + 1}:{mark.column + 1}: nested deeper than {MAX_DEPTH} levels"
            )


class _Builder:
    """Turns a composed YAML node tree into a layer."""

    def __init__(self, path: Path, rank: int, loader: Any) -> None:
        self._path = path
        self._rank = rank
        self._loader = loader
        self._layer = Layer()
        self._values = 0
        self._sections = section_paths()

    def build(self, node: yaml.Node | None) -> Layer:
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return self._layer
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{self._origin(node)}: must hold sections, like detection:")
        self._layer.tree = self._mapping(node, ())
        return self._layer

    def _origin(self, node: yaml.Node) -> Origin:
        mark = node.start_mark
        return Origin(self._rank, str(self._path), mark.line + 1, mark.column + 1)

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ConfigError(f"{self._origin(node)}: more than {MAX_VALUES} values")
        if len(path) > MAX_DEPTH:
            raise ConfigError(f"{self._origin(node)}: nested deeper than {MAX_DEPTH} levels")
        self._layer.values[path] = self._origin(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            # Numbers and dates that look like ones to YAML but are none, such as 2026-13-45.
            raise ConfigError(f"{self._origin(node)}: {dotted(path)}: {error}") from None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            here = (*path, key)
            if key in values:
                first = self._layer.keys[here]
                raise ConfigError(
                    f"{self._origin(key_node)}: {dotted(here)}: given twice"
                    f" (first in line {first.line})"
                )
            self._layer.keys[here] = self._origin(key_node)
            value = self._value(value_node, here)
            # A section whose keys are all commented out reads as null: it means "defaults".
            values[key] = {} if value is None and here in self._sections else value
        return values

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{self._origin(node)}: a key must be plain text")
        if node.tag == "tag:yaml.org,2002:merge":
            raise ConfigError(f"{self._origin(node)}: merge keys (<<) are not supported")
        return str(node.value)
