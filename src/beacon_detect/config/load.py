"""Loads the configuration: file, stored overrides, environment, in rising precedence.

Every value keeps its origin, so that an error names ``file:line:column`` and
``config show`` can tell where a setting comes from. Nothing falls back: one
bad value refuses the whole configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from beacon_detect.config.environment import ENV_FILE, read_environment
from beacon_detect.config.faults import describe_faults
from beacon_detect.config.layers import KeyPath, Layer, merge_layers, merge_trees, respell
from beacon_detect.config.schema import Config, settings
from beacon_detect.config.yaml_file import read_yaml
from beacon_detect.errors import ConfigError, PermissionMissingError

__all__ = [
    "OVERRIDES_NAME",
    "SEARCH_PATH",
    "LoadedConfig",
    "find_config_file",
    "load_config",
    "load_effective",
    "merge_trees",
    "parse_update",
    "settings",
    "validate_tree",
]

SEARCH_PATH = (Path("config/config.yaml"), Path("/etc/beacon-detect/config.yaml"))
OVERRIDES_NAME = "config-overrides.yaml"
"""File in ``control_plane.data_dir`` with the settings changed through the API."""

_FILE, _OVERRIDES, _ENVIRONMENT = range(3)


@dataclass(frozen=True)
class LoadedConfig:
    """A valid configuration, the file it came from and the origin of each value set."""

    config: Config
    file: Path | None
    origins: dict[KeyPath, str]

    def origin(self, path: KeyPath) -> str:
        """Return where the value at ``path`` was set (``default`` when nowhere)."""
        return self.origins.get(path, "default")


def find_config_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file used when none is named: $BEACON_DETECT_CONFIG, ./config, /etc.

    Raises
    ------
    ConfigError
        A place cannot be looked at; going on with the next one would be a
        silent change of configuration.
    """
    if named := environment.get(ENV_FILE):
        return Path(named)
    for path in SEARCH_PATH:
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be looked at: {error.strerror}",
                hint="name a readable file with -c",
            ) from None
    return None


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
        YAML file of settings changed through the API, layered over ``file``;
        it may be missing.
    environment
        Variables ``BEACON_DETECT_SECTION__KEY`` override both.

    Raises
    ------
    ConfigError
        One line for each fault: origin, key path, what is wrong, nearest key.
    PermissionMissingError
        Whether there are overrides, or what they say, is not for this user to see.
    """
    file = file or find_config_file(environment)
    layers = []
    if file is not None:
        layers.append(read_yaml(file, _FILE))
    if overrides is not None and _is_there(overrides):
        layers.append(read_yaml(overrides, _OVERRIDES))
    layers.append(read_environment(environment, _ENVIRONMENT))
    merged = Layer()
    for layer in layers:
        respell(layer)
        merged = merge_layers(merged, layer)
    origins = {path: str(origin) for path, origin in merged.values.items()}
    return LoadedConfig(_validate(merged), file, origins)


def load_effective(
    file: Path | None = None, *, environment: Mapping[str, str] = os.environ
) -> LoadedConfig:
    """Return the configuration as the control plane runs it: with what the API changed.

    Raises
    ------
    ConfigError, PermissionMissingError
        As :func:`load_config`.
    """
    plain = load_config(file, environment=environment)
    overrides = Path(plain.config.control_plane.data_dir) / OVERRIDES_NAME
    return load_config(file, overrides=overrides, environment=environment)


def _is_there(overrides: Path) -> bool:
    """Return whether settings were changed through the API."""
    try:
        there = overrides.exists()
        readable = not there or os.access(overrides, os.R_OK)
    except OSError:
        readable = False
    if not readable:
        raise PermissionMissingError(
            f"{overrides}: settings changed through the API, if any, cannot be read by this user",
            hint="run as the user to whom control_plane.data_dir belongs",
        )
    return there


def validate_tree(tree: Mapping[str, Any]) -> Config:
    """Return the configuration in ``tree``; ConfigError names each faulty key."""
    return _validate(Layer(dict(tree)))


def parse_update(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a partial update with documented spellings brought to their homes."""
    layer = Layer(_plain(tree))
    respell(layer)
    return layer.tree


def _validate(layer: Layer) -> Config:
    try:
        return Config.model_validate(layer.tree)
    except ValidationError as error:
        faults: Any = error.errors(include_url=False)
        raise ConfigError(describe_faults(faults, layer)) from None


def _plain(value: Any) -> Any:
    """Return a deep copy with plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
