"""Compiled functions keep their Python form and release the interpreter lock."""

from __future__ import annotations

from typing import Any, cast

from beacon_detect.analysis.compiled.check_ins import kl_divergence


def test_compiled_functions_can_still_be_read_and_run_in_python() -> None:
    compiled = cast("Any", kl_divergence)

    assert compiled.py_func(0.1, 0.2) == 0.0
    assert compiled.targetoptions["nogil"]
