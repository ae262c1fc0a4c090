"""The configuration in force: reloaded and updated while running, as transactions.

A change is validated as a whole, applied, and only then kept; where anything
is wrong the old configuration stays in force and the fault is reported.
Settings that need a restart keep the value they had at the start. Changes
made through the API live in ``config-overrides.yaml`` in the data folder,
over the configuration file and under the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import yaml

from beacon_detect.config import (
    MASK,
    OVERRIDES_NAME,
    Config,
    LoadedConfig,
    load_config,
    masked,
    merge_trees,
    parse_update,
    validate_tree,
)
from beacon_detect.config.layers import dotted, respell
from beacon_detect.config.schema import secret_paths, settings
from beacon_detect.config.yaml_file import read_yaml
from beacon_detect.errors import BeaconError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

log = structlog.get_logger(__name__)

_HEADER = "# Written by POST /api/v1/config; over the configuration file, under the environment.\n"
_FIXED = ("control_plane", "data_dir")
_NAMES_A_FILE = (
    ("control_plane", "token_file"),
    ("alerting", "file", "path"),
    ("alerting", "syslog", "socket_path"),
)
Path_ = tuple[str, ...]


class RefusedError(BeaconError):
    """A well-formed change that this server does not take, and why."""


class HiddenError(BeaconError):
    """A change that would have no effect because the environment sets the value."""


@dataclass(frozen=True)
class Update:
    """What an update did: dotted names of the settings it named."""

    applied: list[str]
    needs_restart: list[str]


class Settings:
    """Owner of the configuration in force; thread-safe.

    Parameters
    ----------
    loaded
        Configuration as given at the start; its file is read again on reload.
    environment
        Variables that override everything.

    Raises
    ------
    ConfigError
        The stored overrides do not fit the configuration.
    """

    def __init__(
        self, loaded: LoadedConfig, *, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._environment = environment
        self._file = loaded.file
        self.overrides = Path(loaded.config.control_plane.data_dir) / OVERRIDES_NAME
        self._lock = threading.RLock()
        self._apply: Callable[[Config], None] = lambda _config: None
        self.loaded = self._load(self.overrides)
        self.running: Config = self.loaded.config
        """The values in force."""
        self._started = self.running
        self.loaded_at = time.time_ns()
        self.last_reload_error: str | None = None

    def on_change(self, apply: Callable[[Config], None]) -> None:
        """Call ``apply`` with the values in force after each change.

        When it raises BeaconError or OSError it is called again with the old values.
        """
        self._apply = apply

    def reload(self) -> bool:
        """Read file, overrides and environment again; return whether they are in force now."""
        with self._lock:
            try:
                self._switch(self._load(self.overrides))
            except (BeaconError, OSError) as error:
                self.last_reload_error = str(error)
                # The fault is in a file, not in the code: a traceback would say nothing.
                log.error("reload refused, the old configuration stays", error=str(error))  # noqa: TRY400
                return False
            self.last_reload_error = None
            log.info("configuration reloaded", hash=self.hash, needs_restart=self.needs_restart())
            return True

    def update(self, tree: Mapping[str, Any], *, trusted: bool) -> Update:
        """Apply and store a partial update; a null puts a setting back to the file's value.

        Parameters
        ----------
        tree
            Sections and settings, any documented spelling.
        trusted
            Whether the caller proved who it is; settings that name files need that.

        Raises
        ------
        ConfigError
            The result would not be a valid configuration.
        RefusedError
            A setting that cannot be changed this way.
        HiddenError
            The environment sets one of the values.
        """
        with self._lock:
            wanted = _without_masks(parse_update(tree), self.loaded.config)
            named = [path for path, _ in settings() if _has(wanted, path)]
            _refuse(wanted, named, trusted=trusted)
            self._refuse_hidden(named)
            validate_tree(merge_trees(self.loaded.config.model_dump(), _without_nulls(wanted)))
            overrides = _patched(_read_tree(self.overrides), wanted)
            self._store(overrides)
            restart = set(self.needs_restart())
            names = [dotted(path) for path in named]
            log.info("configuration updated", settings=names, hash=self.hash)
            return Update(
                applied=[name for name in names if name not in restart],
                needs_restart=[name for name in names if name in restart],
            )

    def _store(self, overrides: dict[str, Any]) -> None:
        """Put ``overrides`` in force and in place of the stored ones, or change nothing."""
        draft = self.overrides.with_name(self.overrides.name + ".new")
        old = self.loaded
        try:
            _write_durably(draft, _HEADER + yaml.safe_dump(overrides, sort_keys=False))
            self._switch(self._load(draft))
            try:
                draft.replace(self.overrides)
            except OSError:
                self._switch(old)
                raise
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(self.overrides.parent)

    def _load(self, overrides: Path) -> LoadedConfig:
        return load_config(self._file, overrides=overrides, environment=self._environment)

    def _switch(self, loaded: LoadedConfig) -> None:
        """Put ``loaded`` in force; on a failure put the old values back and raise."""
        tree = loaded.config.model_dump()
        for path in _restart_only():
            _put(tree, path, _get(self._started, path))
        running = Config.model_validate(tree)
        try:
            self._apply(running)
        except (BeaconError, OSError):
            self._apply(self.running)
            raise
        self.loaded, self.running, self.loaded_at = loaded, running, time.time_ns()

    def _refuse_hidden(self, named: list[Path_]) -> None:
        for path in named:
            for place, origin in self.loaded.origins.items():
                if place[: len(path)] == path and origin.startswith("environment variable"):
                    raise HiddenError(
                        f"{dotted(path)} is set by {origin}, which wins over changes made here",
                        hint="unset the variable and restart, or change its value there",
                    )

    def needs_restart(self) -> list[str]:
        """Return the settings whose configured value waits for a restart."""
        return [
            dotted(path)
            for path in _restart_only()
            if _get(self.loaded.config, path) != _get(self._started, path)
        ]

    @property
    def hash(self) -> str:
        """Fingerprint of the values in force."""
        text = json.dumps(self.running.model_dump(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def masked(self) -> dict[str, Any]:
        """Return the configured values with secrets masked."""
        return masked(self.loaded.config)


@cache
def _restart_only() -> list[Path_]:
    return [path for path, info in settings() if info.json_schema_extra["restart"]]


def _get(config: Config, path: Iterable[str | int]) -> Any:
    value: Any = config
    for part in path:
        value = getattr(value, str(part))
    return value


def _put(tree: dict[str, Any], path: Path_, value: Any) -> None:
    for part in path[:-1]:
        tree = tree[part]
    tree[path[-1]] = value


def _has(tree: Any, path: Path_) -> bool:
    """Return whether ``tree`` says something about ``path``; a null section speaks for all in it."""
    for part in path:
        if tree is None:
            return True
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _refuse(wanted: Mapping[str, Any], named: list[Path_], *, trusted: bool) -> None:
    """Raise RefusedError where ``wanted`` touches what the API may not change."""
    if "data_plane" in wanted:
        raise RefusedError(
            "data_plane: belongs to the sensors, which do not read this server's settings",
            hint="change it in the configuration file of the sensor",
        )
    if _FIXED in named:
        raise RefusedError(
            "control_plane.data_dir: cannot be changed through the API, which keeps its changes there",
            hint="change it in the configuration file and restart",
        )
    # Without a token every local user reaches the API; none of them may choose
    # which files a privileged server reads or writes.
    for path in [] if trusted else [path for path in named if path in _NAMES_A_FILE]:
        raise RefusedError(
            f"{dotted(path)}: names a file, so the API changes it only with a token set",
            hint="set a token (control_plane.token_file), or change the configuration file",
        )


def _without_masks(wanted: dict[str, Any], config: Config) -> dict[str, Any]:
    """Return ``wanted`` without secrets that were posted back masked."""
    for path in secret_paths():
        branch: Any = wanted
        for part in path[:-1]:
            branch = branch.get(part) if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or path[-1] not in branch:
            continue
        value, current = branch[path[-1]], _get(config, path)
        if value == MASK:
            del branch[path[-1]]
        elif isinstance(value, dict):
            masked = [key for key, text in value.items() if text == MASK]
            if unknown := [key for key in masked if key not in current]:
                raise ConfigError(f"{dotted(path)}.{unknown[0]}: is a mask, not a value")
            branch[path[-1]] = {key: text for key, text in value.items() if text != MASK}
    return wanted


def _without_nulls(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if value is not None
    }


def _patched(base: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``patch`` merged in; nulls remove (RFC 7396, JSON Merge Patch)."""
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            branch = merged.get(key)
            merged[key] = _patched(branch if isinstance(branch, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _read_tree(path: Path) -> dict[str, Any]:
    """Return the stored overrides, empty where there are none; people edit them by hand, too."""
    if not path.exists():
        return {}
    layer = read_yaml(path, 0)
    respell(layer)
    return layer.tree


def _write_durably(path: Path, text: str) -> None:
    """Write ``text`` to ``path``, readable by its owner only, on disk when this returns."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
