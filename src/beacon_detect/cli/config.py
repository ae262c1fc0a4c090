"""``beacon-detect config``: check the configuration, and show it with the origin of each value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from beacon_detect.cli.options import config_option
from beacon_detect.errors import PermissionMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from beacon_detect.config import LoadedConfig


@click.group("config")
def command() -> None:
    """Check and show the configuration.

    \b
    Example:
      beacon-detect config check -c config/config.yaml
      beacon-detect config show --origin
    """


@command.command("check")
@config_option
def check(config_file: Path | None) -> None:
    """Check the configuration; each fault is told with file, line and column.

    What the API changed and the environment sets is checked too. Exit code 0:
    OK; 78: refused.

    \b
    Example:
      beacon-detect config check -c /etc/beacon-detect/config.yaml
    """
    loaded = _load(config_file)
    click.echo(f"OK {loaded.file}" if loaded.file else "OK (no file: the defaults hold)")
    control_plane = loaded.config.control_plane
    if not control_plane.is_local and not control_plane.token_file:
        click.echo(
            f"note: control_plane.listen_address {control_plane.listen_address} needs a token:"
            " set control_plane.token_file, or BEACON_API_TOKEN where the server starts",
            err=True,
        )


@command.command("show")
@config_option
@click.option("--origin", is_flag=True, help="Show the line, file or variable that set each value.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True,
    help="Format: yaml or json.",
)  # fmt: skip
def show(config_file: Path | None, origin: bool, output: str) -> None:
    """Show every setting in force; secrets are masked.

    \b
    Example:
      beacon-detect config show --origin
      BEACON_DETECT_DETECTION__ALERT_THRESHOLD=0.8 beacon-detect config show -o json
    """
    from beacon_detect.config import masked

    loaded = _load(config_file)
    tree = masked(loaded.config)
    if output == "yaml":
        click.echo("\n".join(_yaml_lines(tree, (), loaded if origin else None)))
        return
    file = str(loaded.file) if loaded.file else None
    answer: dict[str, Any] = {"schema": "beacon-detect.config/1", "file": file, "config": tree}
    if origin:
        answer["origins"] = {".".join(path): loaded.origin(path) for path in _paths(tree, ())}
    click.echo(json.dumps(answer, indent=2))


def _load(file: Path | None) -> LoadedConfig:
    from beacon_detect.config import load_config, load_effective

    try:
        return load_effective(file)
    except PermissionMissingError as error:
        click.echo(f"note: {error}", err=True)
        return load_config(file)


def _yaml_lines(
    tree: dict[str, Any], parents: tuple[str, ...], origins: LoadedConfig | None
) -> Iterator[str]:
    """Yield the settings as YAML, each with its origin as a comment where wanted."""
    from beacon_detect.config.render import yaml_value
    from beacon_detect.config.schema import section_paths

    for key, value in tree.items():
        path = (*parents, key)
        indent = "  " * len(parents)
        if path in section_paths():
            yield f"{indent}{key}:"
            yield from _yaml_lines(value, path, origins)
        else:
            comment = f"  # {origins.origin(path)}" if origins else ""
            yield f"{indent}{key}: {yaml_value(value)}{comment}"


def _paths(tree: dict[str, Any], parents: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    from beacon_detect.config.schema import section_paths

    for key, value in tree.items():
        path = (*parents, key)
        if path in section_paths():
            yield from _paths(value, path)
        else:
            yield path
