"""Reads ``BEACON_DETECT_SECTION__KEY`` variables into a layer.

A variable has no types, so its text is read as what its setting wants: digits
stay text for a text setting, a list may be written ``53,123`` or as YAML. A
variable that names no setting is an error, with one exception: the variables
that Kubernetes adds for a service called ``beacon-detect`` are not ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import yaml

from beacon_detect.config.layers import KeyPath, Layer, Origin, dotted
from beacon_detect.config.schema import SPELLINGS, section_paths, settings
from beacon_detect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_PREFIX = "BEACON_DETECT_"
ENV_FILE = "BEACON_DETECT_CONFIG"

# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES = re.compile(
    r"(?:[A-Z0-9]+_)*(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|PORT"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)


def read_environment(environment: Mapping[str, str], rank: int) -> Layer:
    """Return the settings in the variables as layer ``rank``; ConfigError for a bad name."""
    layer = Layer()
    kinds = _kinds()
    for name, text in sorted(environment.items()):
        rest = name.removeprefix(ENV_PREFIX)
        if not name.startswith(ENV_PREFIX) or name == ENV_FILE or _KUBERNETES.fullmatch(rest):
            continue
        path = _path(name, kinds)
        branch = layer.tree
        for parent in path[:-1]:
            branch = branch.setdefault(str(parent), {})
        branch[str(path[-1])] = _typed(text, kinds.get(path))
        layer.values[path] = layer.keys[path] = Origin(rank, f"environment variable {name}")
    return layer


def variable_name(path: KeyPath) -> str:
    """Return the variable that sets the setting at ``path``."""
    return ENV_PREFIX + "__".join(str(part) for part in path).upper()


def _kinds() -> dict[KeyPath, Any]:
    """Return the type of each setting, by its path and by its second spelling."""
    kinds: dict[KeyPath, Any] = {path: info.annotation for path, info in settings()}
    return kinds | {spelling: kinds[home] for spelling, home in SPELLINGS.items()}


def _path(name: str, kinds: Mapping[KeyPath, Any]) -> KeyPath:
    rest = name.removeprefix(ENV_PREFIX)
    path: KeyPath = tuple(rest.lower().split("__"))
    origin = f"environment variable {name}"
    if len(path) < 2 or not all(path) or rest != rest.upper():
        raise ConfigError(
            f"{origin}: must be named {ENV_PREFIX}SECTION__KEY (two underscores, upper case)"
        )
    if path in section_paths():
        raise ConfigError(f"{origin}: {dotted(path)} is a section; set its keys one by one")
    if any(path[:cut] in kinds for cut in range(1, len(path))):
        raise ConfigError(f"{origin}: {dotted(path)}: there is no key below {dotted(path[:-1])}")
    return path


def _typed(text: str, kind: Any) -> Any:
    """Return ``text`` as what a setting of type ``kind`` wants, or unchanged for the schema."""
    try:
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
        if kind is bool:
            return _flag(text)
        if get_origin(kind) is list:
            return _list(text, get_args(kind)[0])
        if get_origin(kind) is dict:
            # Every scalar stays text: a header value of 10 is the text "10".
            return yaml.load(text, yaml.BaseLoader)  # noqa: S506 (builds nothing but text)
    except (ValueError, yaml.YAMLError, RecursionError):
        return text
    return text


def _flag(text: str) -> Any:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    return words.get(text.strip().lower(), text)


def _list(text: str, kind: Any) -> Any:
    item = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if text.lstrip().startswith("["):
        entries = yaml.load(text, yaml.BaseLoader)  # noqa: S506 (builds nothing but text)
    else:
        entries = [part.strip() for part in text.split(",") if part.strip()]
    return [_typed(entry, item) if isinstance(entry, str) else entry for entry in entries]
