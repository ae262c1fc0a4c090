"""Lowering: what is not plain is refused by name, when the module is lowered."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

import native_samples
from beacon_detect.readers.native.lowering import lower, signatures
from beacon_detect.readers.native.signature import NotPlainError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def module_of(folder: Path, body: str) -> ModuleType:
    path = folder / "plain.py"
    path.write_text(
        "from __future__ import annotations\nKERNELS = ('f',)\nHALF = 0.5\nfrom collections.abc import Sequence\n\n"
        "def f(a: int, raw: Sequence[int], row: Sequence[int]) -> int:\n    " + body + "\n"
    )
    spec = importlib.util.spec_from_file_location("plain", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_signatures_tell_columns_and_results() -> None:
    found = signatures(native_samples)

    assert found["fill"].parameters == {"column": 64, "text": 8, "value": 0}
    assert found["widths"].parameters["ends"] == 32
    assert {name: made.results for name, made in found.items()} | {"fill": 0} == {
        "operations": 6, "comparisons": 4, "choices": 1, "loops": 1, "pair": 2, "swapped": 2, "fill": 0,
        "copy": 1, "early": 1, "nested": 1, "widths": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("return a / 2", "a / 2"), ("return a ** 2", "a ** 2"), ("return HALF", "HALF"),
        ("return 'x'", "'x'"), ("return unknown(a)", "unknown(a)"), ("return raw", "raw"),
        ("return a[0]", "0"), ("for x in raw: a = x\n    return a", "for x in raw"),
        ("with a: return 1", "with a"), ("return f(a, row, row)", "raw of f"),
        ("return a is 1", "a is 1"), ("return min(a, 1, 2)", "min(a, 1, 2)"), ("a.b = 1", "a.b"),
        ("x, y = a\n    return x", "a"), ("return [a][0]", "[a][0]"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_what_is_not_plain_is_refused_by_name(tmp_path: Path, body: str, named: str) -> None:
    with pytest.raises(NotPlainError, match="f: ") as caught:
        lower(module_of(tmp_path, body))

    assert named in str(caught.value)
