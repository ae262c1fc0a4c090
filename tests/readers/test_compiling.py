"""Compiling: functions of a module see each other, and the machine code is kept."""

from __future__ import annotations

import numpy as np

from beacon_detect.readers import compiling, json_scan


def test_compiled_functions_give_what_the_written_ones_give() -> None:
    kernels = compiling.compile_kernels([json_scan])
    raw = np.frombuffer(b"-123.456,", np.uint8)

    assert kernels.read_number(raw, 0, 9) == json_scan.read_number(b"-123.456,", 0, 9)
    assert json_scan.read_number(b"-123.456,", 0, 9) == (-123456, 3, 8)
    assert compiling.is_warm("json_scan", "read_number")


def test_code_that_was_never_compiled_is_cold() -> None:
    assert not compiling.is_warm("json_scan", "no_such_function")
