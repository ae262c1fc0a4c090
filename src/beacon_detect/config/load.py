"""Loads the configuration: file, stored overrides, environment, in rising precedence.

Every value keeps its origin, so that an error names ``file:line:column`` and
``config show`` can tell where a setting comes from. Nothing falls back: one
bad value refuses the whole configuration.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from beacon_detect.config.schema import SPELLINGS, Config
from beacon_detect.errors import ConfigError

ENV_PREFIX = "BEACON_DETECT_"
ENV_FILE = "BEACON_DETECT_CONFIG"
SEARCH_PATH = (Path("config/config.yaml"), Path("/etc/beacon-detect/config.yaml"))
MAX_FILE_BYTES = 4 << 20
MAX_NODES = 400_000

Path_ = tuple[str | int, ...]


@dataclass
class _Layer:
    """One source of values: a tree and the origin of each of its nodes."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedConfig:
    """A valid configuration, the file it came from and the origin of each value set."""

    config: Config
    file: Path | None
    origins: dict[Path_, str]

    def origin(self, path: Path_) -> str:
        """Return where the value at ``path`` was set (``default`` when nowhere)."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return "default"


def find_config_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file used when none is named: $BEACON_DETECT_CONFIG, ./config, /etc."""
    if named := environment.get(ENV_FILE):
        return Path(named)
    return next((path for path in SEARCH_PATH if path.is_file()), None)


def load_config(
    file: Path | None = None,
    *,
    overrides: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> LoadedConfig:
    """Return the validated configuration.

    Parameters
    ----------
    file
        YAML file; where None, :func:`find_config_file` chooses, and without
        any file the defaults hold.
    overrides
        YAML file of settings changed through the API, layered over ``file``.
    environment
        Variables ``BEACON_DETECT_SECTION__KEY`` override both.

    Raises
    ------
    ConfigError
        One line for each fault: origin, key path, what is wrong, nearest key.
    """
    file = file or find_config_file(environment)
    layers = []
    if file is not None:
        layers.append(_read_yaml(file))
    if overrides is not None and overrides.is_file():
        layers.append(_read_yaml(overrides))
    layers.append(_read_environment(environment))
    merged = _Layer()
    for layer in layers:
        _respell(layer)
        _merge(merged, layer)
    return LoadedConfig(validate_tree(merged.tree, merged.origins), file, merged.origins)


def validate_tree(tree: Mapping[str, Any], origins: Mapping[Path_, str] | None = None) -> Config:
    """Return the configuration in ``tree``; ConfigError names each faulty value's origin."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        faults = [_describe(fault, origins or {}) for fault in error.errors(include_url=False)]
        raise ConfigError("\n".join(faults)) from None


def parse_update(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a partial update with documented spellings brought to their homes."""
    layer = _Layer(_plain(tree), {})
    _respell(layer)
    return layer.tree


def _plain(value: Any) -> Any:
    """Return a deep copy with plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _read_yaml(path: Path) -> _Layer:
    """Return the values of a YAML file with the place of each."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES >> 20} MiB")
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}",
            hint="name an existing file with -c, or leave -c away to use the defaults",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            return _Builder(path, loader).build(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{place}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None


class _Builder:
    """Turns a composed YAML node tree into values and ``file:line:column`` origins."""

    def __init__(self, path: Path, loader: yaml.SafeLoader) -> None:
        self._path = path
        self._loader = loader
        self._layer = _Layer()
        self._nodes = 0

    def build(self, node: yaml.Node | None) -> _Layer:
        if node is None:
            return self._layer
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(
                f"{self._place(node)}: must be a mapping of sections, like detection:"
            )
        self._layer.tree = self._value(node, ())
        return self._layer

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ConfigError(f"{self._path}: more than {MAX_NODES} values")
        self._layer.origins.setdefault(path, self._place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(self._loader.construct_object(key_node, deep=True))
            here = (*path, key)
            if key in values:
                raise ConfigError(f"{self._place(key_node)}: {_dotted(here)}: given twice")
            self._layer.origins[here] = self._place(key_node)
            value = self._value(value_node, here)
            # A section whose keys are all commented out reads as null: it means "defaults".
            values[key] = {} if value is None and len(here) == 1 else value
            if not isinstance(value_node, yaml.MappingNode):
                self._layer.origins[here] = self._place(value_node)
        return values


def _read_environment(environment: Mapping[str, str]) -> _Layer:
    """Return the values of ``BEACON_DETECT_SECTION__KEY`` variables, parsed as YAML."""
    layer = _Layer()
    for name, text in sorted(environment.items()):
        if not name.startswith(ENV_PREFIX) or name == ENV_FILE:
            continue
        path = tuple(name.removeprefix(ENV_PREFIX).lower().split("__"))
        origin = f"environment variable {name}"
        if len(path) < 2 or not all(path):
            raise ConfigError(f"{origin}: must be named {ENV_PREFIX}SECTION__KEY")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        *parents, leaf = path
        branch = layer.tree
        for depth, parent in enumerate(parents):
            layer.origins.setdefault(path[: depth + 1], origin)
            branch = branch.setdefault(parent, {})
        branch[leaf] = text if value is None else value
        layer.origins[path] = origin
    return layer


def _respell(layer: _Layer) -> None:
    """Move documented second spellings to the settings they stand for."""
    for spelling, home in SPELLINGS.items():
        section = layer.tree.get(spelling[0])
        if not isinstance(section, dict) or spelling[-1] not in section:
            continue
        value = section.pop(spelling[-1])
        origin = layer.origins.pop(spelling, "")
        branch: Any = layer.tree
        for part in home[:-1]:
            branch = branch.setdefault(part, {})
            if not isinstance(branch, dict):
                raise ConfigError(
                    f"{_prefix(origin)}{_dotted(spelling)}: {_dotted(home[:-1])} is not a section"
                )
        if home[-1] in branch and branch[home[-1]] != value:
            raise ConfigError(
                f"{_prefix(origin)}{_dotted(spelling)}: also set as {_dotted(home)}; keep one of the two"
            )
        branch[home[-1]] = value
        layer.origins[home] = origin
        for path in [p for p in layer.origins if p[: len(spelling)] == spelling]:
            layer.origins[(*home, *path[len(spelling) :])] = layer.origins.pop(path)


def _merge(base: _Layer, over: _Layer) -> None:
    base.tree = merge_trees(base.tree, over.tree)
    base.origins |= over.origins


def merge_trees(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over``: sections merge, everything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge_trees(merged[key], value)
        else:
            merged[key] = value
    return merged


def _describe(fault: Any, origins: Mapping[Path_, str]) -> str:
    """Return one line for a pydantic fault: place, key path, what is wrong, nearest key."""
    path: Path_ = tuple(fault["loc"])
    origin = next((origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in origins), "")
    if fault["type"] == "extra_forbidden":
        near = nearest_key(path)
        advice = f"; did you mean {near!r}?" if near else ""
        return f"{_prefix(origin)}{_dotted(path)}: unknown key{advice}"
    message = fault["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = fault.get("input")
    shown = (
        "" if isinstance(value, (dict, BaseModel)) or _is_secret(path) else f" (got {value!r:.80})"
    )
    return f"{_prefix(origin)}{_dotted(path)}: {message}{shown}"


def _is_secret(path: Path_) -> bool:
    return path[:2] == ("alerting", "webhook") and path[2:3] in {("url",), ("headers",)}


def nearest_key(path: Path_) -> str:
    """Return the valid key path most like the unknown one, or an empty string."""
    known = {_dotted(p) for p, _ in settings()}
    known |= {_dotted(p) for p in SPELLINGS} | {p.split(".")[0] for p in known}
    wanted = _dotted(path)
    same_section = [k for k in known if k.rpartition(".")[0] == wanted.rpartition(".")[0]]
    for candidates, cutoff in ((same_section, 0.6), (sorted(known), 0.75)):
        if match := difflib.get_close_matches(wanted, candidates, 1, cutoff):
            return match[0]
    leaf = wanted.rpartition(".")[2]
    return next((k for k in sorted(known) if k.rpartition(".")[2] == leaf), "")


def settings(
    model: type[BaseModel] = Config, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (path, field) of every setting, sections first to last."""
    for name, info in model.model_fields.items():
        path = (*prefix, name)
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from settings(kind, path)
        else:
            yield path, info


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _prefix(origin: str) -> str:
    return f"{origin}: " if origin else ""
