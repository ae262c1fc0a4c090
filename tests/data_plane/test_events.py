"""The dtypes are what the compiler made of ``bpf/events.h``, to the byte."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from beacon_detect import records
from beacon_detect.data_plane import events
from beacon_detect.data_plane.program import OBJECT_FILE
from kernel.btf import Btf, sections


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf(sections(OBJECT_FILE)[".BTF"])


def layout_of(dtype: np.dtype[Any]) -> tuple[int, dict[str, tuple[int, int]]]:
    assert dtype.fields is not None
    return dtype.itemsize, {
        name: (int(field[1]), field[0].itemsize) for name, field in dtype.fields.items()
    }


@pytest.mark.parametrize(
    ("struct", "dtype"),
    [
        ("flow_key", events.FLOW_KEY),
        ("flow_value", events.FLOW_VALUE),
        ("event", events.EVENT),
        ("config", events.CONFIG),
    ],
)
def test_sizes_and_offsets_are_the_objects(btf: Btf, struct: str, dtype: np.dtype[Any]) -> None:
    assert layout_of(dtype) == btf.layout(struct)


def test_an_event_has_the_promised_stride() -> None:
    assert events.EVENT.itemsize == 160


def test_counters_have_the_kernels_names_in_its_order(btf: Btf) -> None:
    constants = btf.enum("counter")
    ordered = sorted((value, name) for name, value in constants.items())

    assert [f"COUNTER_{name.upper()}" for name in events.COUNTERS] + ["COUNTERS"] == [
        name for _, name in ordered
    ]


@pytest.mark.parametrize(
    ("name", "prefix", "enum"),
    [
        ("event_kind", "EVENT", events.EventKind),
        ("flow_outcome", "OUTCOME", records.Outcome),
        ("flow_origin", "ORIGIN", records.Origin),
        ("flow_direction", "DIRECTION", records.Direction),
    ],
)
def test_codes_are_the_headers(btf: Btf, name: str, prefix: str, enum: type[IntEnum]) -> None:
    assert {f"{prefix}_{member.name}": member.value for member in enum} == btf.enum(name)


def test_delivery_bits_are_the_headers() -> None:
    header = (OBJECT_FILE.parents[3] / "bpf" / "events.h").read_text("utf-8")

    for bit in ("START", "END"):
        value = getattr(events, f"DELIVERED_{bit}")
        assert re.search(rf"#define DELIVERED_{bit}\s+{value}\n", header)


def test_the_reference_page_explains_every_counter() -> None:
    page = (OBJECT_FILE.parents[3] / "docs" / "reference" / "kernel.md").read_text("utf-8")

    assert [name for name in events.COUNTERS if f"| `{name}` |" not in page] == []
