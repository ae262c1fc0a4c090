"""Signatures: columns are passed as place and length."""

from __future__ import annotations

import pytest

from beacon_detect.readers.native.signature import Signature


@pytest.mark.parametrize(("results", "kind"), [(0, "void"), (1, "i64"), (3, "{i64, i64, i64}")])
def test_results_have_one_type(results: int, kind: str) -> None:
    assert Signature("f", {}, results).result_type == kind


def test_parameters_are_declared_and_passed_alike() -> None:
    made = Signature("f", {"raw": 8, "at": 0}, 1)

    assert made.declared() == "ptr noalias %raw.at, i64 %raw.size, i64 %at.value"
    assert made.passed() == "ptr %raw.at, i64 %raw.size, i64 %at.value"
