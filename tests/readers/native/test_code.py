"""Machine code: kept for the next run, made anew where it cannot be, and careful with columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import native_samples
from beacon_detect.readers import json_scan
from beacon_detect.readers.native import code

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _look_again() -> None:
    code._path.cache_clear()


def test_compiled_functions_give_what_the_written_ones_give() -> None:
    kernels = code.compile_kernels([json_scan])
    raw = np.frombuffer(b"-123.456,", np.uint8)

    assert kernels.read_number(raw, 0, 9) == json_scan.read_number(b"-123.456,", 0, 9)
    assert json_scan.read_number(b"-123.456,", 0, 9) == (-123456, 3, 8)


def test_the_machine_code_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not code.is_warm([native_samples])
    code.compile_kernels([native_samples])
    assert code.is_warm([native_samples])
    (kept,) = tmp_path.rglob("*.o")
    before = kept.stat()
    code.compile_kernels([native_samples])

    assert kept.stat() == before


def test_without_a_place_to_keep_it_is_made_every_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    for variable in ("CACHE_DIRECTORY", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(file))

    assert code.compile_kernels([native_samples]).pair(1, 2) == (2, 2)
    assert not code.is_warm([native_samples])


@pytest.mark.parametrize(
    "column",
    [np.zeros(4, np.int32), np.zeros(4), np.zeros(8, np.int64)[::2]],
    ids=["narrow", "floats", "steps"],
)
def test_a_column_of_another_shape_is_refused(column: np.ndarray) -> None:
    with pytest.raises(TypeError, match="int64 expected"):
        code.compile_kernels([native_samples]).early(column, 1)
