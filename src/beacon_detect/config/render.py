"""Writes what derives from the schema: ``config/config.yaml`` and the reference page.

``python -m beacon_detect.config.render`` prints the default configuration file,
``--write`` renews both files of a checkout and ``--check`` tells whether they
are current (exit code 1 when they are not). Settings whose default depends on
the host are commented out, so that the files are the same everywhere.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from beacon_detect.config.reference import render_reference
from beacon_detect.config.schema import SPELLINGS, Config, section_model

if TYPE_CHECKING:
    from pydantic import BaseModel

_WIDTH = 96
_HEADER = """\
# Beacon Detect: every setting with its default, unit and meaning.
#
# Edit this file, or copy it to /etc/beacon-detect/config.yaml; leave away what you do not
# change. A commented setting has a default that depends on the machine. An unknown key or
# a bad value is refused with its line. Check with:  beacon-detect config check -c FILE
# An environment variable BEACON_DETECT_SECTION__KEY overrides the setting section.key.
# In brackets: the unit, and "restart" where a change waits for the next start; the others
# take effect when the daemon gets SIGHUP.
#
# The defaults are declared in src/beacon_detect/config/schema.py; this file is generated
# from there by `python -m beacon_detect.config.render --write`.
"""


def render_yaml(config: Config | None = None) -> str:
    """Return a configuration file with every setting, its unit and meaning as comments.

    Parameters
    ----------
    config
        Values to write; where None, the defaults, with the settings whose
        default depends on the host commented out.
    """
    lines = [_HEADER]
    values = config or Config()
    for name, info in Config.model_fields.items():
        section = section_model(info)
        if section is not None:
            lines += _section(name, section, getattr(values, name), config is None, ())
    return "\n".join(lines).rstrip() + "\n"


def _section(
    name: str, model: type[BaseModel], values: Any, defaults: bool, parents: tuple[str, ...]
) -> list[str]:
    """Return the lines of a section; ``parents`` are the names of the sections around it."""
    path = (*parents, name)
    indent = "  " * len(path)
    meaning = (model.__doc__ or "").strip().splitlines()[0]
    lines = [*_comment(meaning, indent[2:]), f"{indent[2:]}{name}:"]
    for key, info in model.model_fields.items():
        value = getattr(values, key)
        if inner := section_model(info):
            lines += _section(key, inner, value, defaults, path)
            continue
        extra: Any = info.json_schema_extra
        lines += _comment(_meaning(info, (*path, key)), indent)
        off = "# " if defaults and extra["shown"] else ""
        shown = extra["shown"] if off else yaml_value(value)
        lines += [f"{indent}{off}{key}: {shown}", ""]
    return lines


def _meaning(info: Any, path: tuple[str, ...]) -> str:
    extra = info.json_schema_extra
    text = str(info.description)
    also = [spelling[-1] for spelling, home in SPELLINGS.items() if home == path]
    if also:
        text += f"; also spelled {path[0]}.{also[0]}"
    tags = [tag for tag in (extra["unit"], "restart" if extra["restart"] else "") if tag]
    return f"{text} [{'; '.join(tags)}]" if tags else text


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
    )


def yaml_value(value: Any) -> str:
    """Return a value as one line of YAML."""
    return yaml.safe_dump(
        value, default_flow_style=True, width=sys.maxsize, allow_unicode=False, sort_keys=False
    ).splitlines()[0]


def generated_files(root: Path) -> dict[Path, str]:
    """Return what each generated file of a checkout must hold."""
    return {
        root / "config" / "config.yaml": render_yaml(),
        root / "docs" / "reference" / "configuration.md": render_reference(),
    }


def main(arguments: list[str]) -> int:
    """Print the default file, or write or check the generated files of the current checkout."""
    if arguments == ["--write"]:
        for path, text in generated_files(Path()).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return 0
    if arguments == ["--check"]:
        stale = [
            path
            for path, text in generated_files(Path()).items()
            if not path.is_file() or path.read_text("utf-8") != text
        ]
        for path in stale:
            sys.stderr.write(
                f"{path}: not current: run `python -m beacon_detect.config.render --write`\n"
            )
        return 1 if stale else 0
    if arguments:
        sys.stderr.write("usage: python -m beacon_detect.config.render [--write | --check]\n")
        return 2
    sys.stdout.write(render_yaml())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
