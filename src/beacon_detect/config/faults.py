"""Turns the schema's complaints into lines for people: place, key path, what is wrong, nearest key.

Faults come sorted by place, the most useful ones first when there are too many
to show. A value that may carry a secret is never repeated in a message.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING, Any

from beacon_detect.config.layers import KeyPath, Layer, dotted, prefix
from beacon_detect.config.schema import SPELLINGS, secret_paths, section_paths, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_FAULTS_SHOWN = 20
_MAX_VALUE_SHOWN = 80
_MAX_KEY_COMPARED = 80


def describe_faults(faults: Sequence[Mapping[str, Any]], layer: Layer) -> str:
    """Return one line for each pydantic fault, sorted by place, at most 20."""

    def place(fault: Mapping[str, Any]) -> tuple[bool, Any]:
        origin = layer.place(_path(fault), of_key=_at_key(fault))
        return (origin is None, origin or ())

    ordered = sorted(faults, key=place)
    lines = [_describe(fault, layer) for fault in ordered[:MAX_FAULTS_SHOWN]]
    if len(ordered) > MAX_FAULTS_SHOWN:
        lines.append(f"and {len(ordered) - MAX_FAULTS_SHOWN} more faults")
    return "\n".join(lines)


def nearest_key(path: KeyPath) -> str:
    """Return the valid key path most like the unknown one, or an empty string."""
    known = _known_keys()
    wanted = dotted(path)[:_MAX_KEY_COMPARED]
    parent, _, leaf = wanted.rpartition(".")
    elsewhere = [key for key in known if key.rpartition(".")[2] == leaf]
    if len(elsewhere) == 1:
        return elsewhere[0]
    same_section = [key for key in known if key.rpartition(".")[0] == parent]
    for candidates, cutoff in ((same_section, 0.6), (known, 0.75)):
        if match := difflib.get_close_matches(wanted, candidates, 1, cutoff):
            return match[0]
    return ""


@cache
def _known_keys() -> list[str]:
    paths = {path for path, _ in settings()} | set(SPELLINGS) | section_paths()
    return sorted(dotted(path) for path in paths)


def _path(fault: Mapping[str, Any]) -> KeyPath:
    # A fault in the key of a mapping ends in "[key]" behind the key itself.
    path: KeyPath = tuple(fault["loc"])
    return path[:-1] if path and path[-1] == "[key]" else path


def _at_key(fault: Mapping[str, Any]) -> bool:
    """Return whether the key is at fault (or has no value), not the value."""
    return (
        fault["type"] == "extra_forbidden"
        or fault["loc"][-1:] == ("[key]",)
        or (fault["input"] is None)
    )


def _describe(fault: Mapping[str, Any], layer: Layer) -> str:
    path = _path(fault)
    start = f"{prefix(layer.place(path, of_key=_at_key(fault)))}{dotted(path)}: "
    if fault["type"] == "extra_forbidden":
        near = nearest_key(path)
        return f"{start}unknown key{f'; did you mean {near}?' if near else ''}"
    if fault["input"] is None:
        return f"{start}has no value; {_wanted(fault)}"
    return start + _wanted(fault) + _shown(fault["input"], path)


_SECTION = "must be a section with keys of its own"
_WORDS = {
    "model_type": _SECTION,
    "dict_type": _SECTION,
    "list_type": "must be a list, like [a, b]",
    "int_type": "must be a whole number{of_unit}",
    "int_from_float": "must be a whole number{of_unit}",
    "float_type": "must be a number{of_unit}",
    "bool_type": "must be true or false",
    "string_type": "must be text (put it in quotes)",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}{unit}",
    "greater_than_equal": "must be at least {ge}{unit}",
    "less_than_equal": "must be at most {le}{unit}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must have at most {max_length} entries",
}


def _wanted(fault: Mapping[str, Any]) -> str:
    """Return what the value must be, in the words of the configuration file."""
    if words := _WORDS.get(fault["type"]):
        unit = _units().get(_path(fault), "")
        spaced = {"unit": unit and f" {unit}", "of_unit": unit and f" of {unit}"}
        bounds = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
        return words.format_map(spaced | bounds)
    message = str(fault["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _plain(bound: object) -> object:
    """Return a bound as people write it: 1, not 1.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


@cache
def _units() -> dict[KeyPath, str]:
    return {path: str(info.json_schema_extra["unit"]) for path, info in settings()}


def _shown(value: object, path: KeyPath) -> str:
    """Return the faulty value for a message, unless it is a secret or no single value."""
    secret = any(path[: len(hidden)] == hidden for hidden in secret_paths())
    if secret or not isinstance(value, str | int | float | list):
        return ""
    text = repr(value)
    if len(text) > _MAX_VALUE_SHOWN:
        text = text[: _MAX_VALUE_SHOWN - 1] + "…"
    return f" (got {text})"
