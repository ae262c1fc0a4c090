"""Finds the records that made a JSON body unreadable, so that its sender can be told.

The fast parser stops at the first fault and often cannot say where it is. Only
then is the body read again, record by record, and only its first
:data:`MAX_EXPLAINED_BYTES`: a refusal must not cost more than an acceptance.
"""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any

from beacon_detect.control_plane.intake.faults import MAX_FAULTS, RecordFaultsError, shown
from beacon_detect.control_plane.intake.json_columns import FIELDS, Form

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_EXPLAINED_BYTES = 4 << 20
_BATCH_FIELDS = ("sensor", "batch", "records")
_NAMES = {dict: "an object", list: "a list", bool: "a truth value"}


def explain(body: bytes, *, nested: bool) -> RecordFaultsError | None:
    """Return the faults in a body that could not be parsed, None when none was found.

    Parameters
    ----------
    nested
        The body is a plain batch, not NDJSON.
    """
    try:
        found = list(_first(_nested_faults(body) if nested else _line_faults(body)))
    except RecursionError:
        found = ["the body is nested too deeply"]
    return RecordFaultsError(found, len(found)) if found else None


def _first(faults: Iterator[str]) -> Iterator[str]:
    for _, fault in zip(range(MAX_FAULTS), faults, strict=False):
        yield fault


def _line_faults(body: bytes) -> Iterator[str]:
    lines = body[:MAX_EXPLAINED_BYTES].split(b"\n")
    if len(body) > MAX_EXPLAINED_BYTES:
        lines.pop()
    forms: dict[str, bool] = {}
    for index, line in enumerate(line for line in lines if line.strip()):
        try:
            record = json.loads(line)
        except ValueError as error:
            yield f"records[{index}]: not valid JSON: {error}"
            return
        yield from _record_faults(index, record, forms)


def _nested_faults(body: bytes) -> Iterator[str]:
    if len(body) > MAX_EXPLAINED_BYTES:
        return
    try:
        batch = json.loads(body)
    except ValueError as error:
        yield f"the body is not valid JSON: {error}"
        return
    if not isinstance(batch, dict):
        yield f"the body must be an object, not {_described(batch)}"
        return
    for name, value in batch.items():
        if name not in _BATCH_FIELDS:
            yield _unknown(name, _BATCH_FIELDS)
        elif name != "records" and not isinstance(value, str | None):
            yield f"{name}: must be text, not {_described(value)}"
    records = batch.get("records")
    if not isinstance(records, list):
        yield f"records: must be a list, not {_described(records)}"
        return
    forms: dict[str, bool] = {}
    for index, record in enumerate(records):
        yield from _record_faults(index, record, forms)


def _record_faults(index: int, record: Any, forms: dict[str, bool]) -> Iterator[str]:
    """Yield the faults of a record; ``forms`` remembers which fields were text before it."""
    if not isinstance(record, dict):
        yield f"records[{index}]: must be an object, not {_described(record)}"
        return
    for name, value in record.items():
        place = f"records[{index}]"
        if name not in FIELDS:
            yield f"{place}.{_unknown(name, tuple(FIELDS))}"
        elif value is not None and (fault := _value_fault(name, value, forms)):
            yield f"{place}.{name}: {fault}"


def _value_fault(name: str, value: Any, forms: dict[str, bool]) -> str:
    allowed = FIELDS[name].forms
    is_text = isinstance(value, str)
    if isinstance(value, (dict, list, bool)) or (is_text and not _takes_text(value, allowed)):
        return f"must be {' or '.join(form.value for form in allowed)}, not {_described(value)}"
    if not is_text:
        return _number_fault(value, allowed) or _form_fault(name, forms, text=False)
    return _form_fault(name, forms, text=True)


def _takes_text(value: str, allowed: tuple[Form, ...]) -> bool:
    """Return whether a text will do; numbers may be written as text (``"443"``)."""
    if Form.TEXT in allowed:
        return True
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _number_fault(value: float, allowed: tuple[Form, ...]) -> str:
    if allowed == (Form.TEXT,):
        return f"must be text, not {shown(value)}"
    if not abs(value) < 2.0**64:
        return f"{shown(value)} is out of range"
    if Form.WHOLE in allowed and value != int(value):
        return f"{value} is not a whole number"
    return ""


def _form_fault(name: str, forms: dict[str, bool], *, text: bool) -> str:
    if Form.TEXT not in FIELDS[name].forms or forms.setdefault(name, text) == text:
        return ""
    return "text and numbers cannot be mixed in one batch; earlier records have " + (
        "numbers" if text else "text"
    )


def _unknown(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"{name[:60]}: unknown field" + (f"; did you mean {near[0]!r}?" if near else "")


def _described(value: Any) -> str:
    return _NAMES.get(type(value), shown(value))
