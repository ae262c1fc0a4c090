"""Lowers plain functions over integers and flat columns to LLVM's intermediate language.

The readers' inner loops are Python that anybody can read and step through; here
they become what a C compiler would make of them, in a tenth of a second, where a
compiler for all of Python and NumPy needs ten. Supported is what those functions
use: integers of 64 bits, truth as 0 and 1, columns (parameters annotated as
sequences), assignments, ``if``, ``while``, ``for … in range``, tuples as results.
Anything else is an error when the module is lowered, never at run time. Limits:
integers wrap where Python's grow, a column is not checked for its bounds, a
division by zero gives the dividend, and no two columns of a call may overlap.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING

from beacon_detect.readers.native.function import Function
from beacon_detect.readers.native.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType, ModuleType

_BYTES = frozenset({"buffer", "raw", "text", "pieces", "plain"})
"""Columns of these names hold bytes; those of :data:`_WORDS` 32 bits; others 64."""
_WORDS = frozenset({"ends"})
_DIVIDE = """
define internal i64 @"//"(i64 %a, i64 %b) alwaysinline {
  %none = icmp eq i64 %b, 0
  %d = select i1 %none, i64 1, i64 %b
  %q = sdiv i64 %a, %d
  %r = srem i64 %a, %d
  %inexact = icmp ne i64 %r, 0
  %signs = xor i64 %r, %d
  %apart = icmp slt i64 %signs, 0
  %down = and i1 %inexact, %apart
  %step = zext i1 %down to i64
  %floor = sub i64 %q, %step
  ret i64 %floor
}
define internal i64 @"%"(i64 %a, i64 %b) alwaysinline {
  %q = call i64 @"//"(i64 %a, i64 %b)
  %p = mul i64 %q, %b
  %r = sub i64 %a, %p
  ret i64 %r
}
"""
"""Division towards minus infinity, as Python's."""


def lower(module: ModuleType) -> str:
    """Return the module's ``KERNELS`` as LLVM assembly.

    Every function is also exported as ``entry.NAME``, which takes one more
    pointer and stores the results there.

    Raises
    ------
    NotPlainError
        A function uses something else than the module's docstring lists.
    """
    known = signatures(module)
    texts = [_DIVIDE]
    for name, signature in known.items():
        tree = _tree(getattr(module, name))
        texts += [Function(signature, tree, known, vars(module)).text(), _entry(signature)]
    return "\n".join(texts)


def signatures(module: ModuleType) -> dict[str, Signature]:
    """Return the signatures of a module's ``KERNELS``."""
    known: dict[str, Signature] = {}
    for name in module.KERNELS:
        tree = _tree(getattr(module, name))
        known[name] = Signature(name, _parameters(tree), _results(tree, known))
    return known


def _tree(function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)  # noqa: S101 (a function's source is one)
    return tree


def _parameters(tree: ast.FunctionDef) -> dict[str, int]:
    found = {}
    for argument in tree.args.args:
        note = argument.annotation
        name = argument.arg
        if isinstance(note, ast.Subscript):
            found[name] = 8 if name in _BYTES else 32 if name in _WORDS else 64
        else:
            found[name] = 0
    return found


def _results(tree: ast.FunctionDef, known: Mapping[str, Signature]) -> int:
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    value = values[0] if values else None
    while isinstance(value, ast.IfExp):
        value = value.body
    if isinstance(value, ast.Tuple):
        return len(value.elts)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        called = known.get(value.func.id)
        return called.results if called else 1
    return 0 if value is None else 1


def _entry(signature: Signature) -> str:
    name, kind = signature.name, signature.result_type
    call = f"call {kind} @{name}({signature.passed()})"
    lines = [f'define void @"entry.{name}"({signature.declared()}, ptr %results) {{']
    if signature.results == 1:
        lines += [f"  %r = {call}", "  store i64 %r, ptr %results"]
    elif signature.results:
        lines.append(f"  %r = {call}")
        for i in range(signature.results):
            lines += [
                f"  %r{i} = extractvalue {kind} %r, {i}",
                f"  %p{i} = getelementptr i64, ptr %results, i64 {i}",
                f"  store i64 %r{i}, ptr %p{i}",
            ]
    else:
        lines.append(f"  {call}")
    return "\n".join([*lines, "  ret void", "}"])
