"""The one way functions are compiled here: cached on disk, without the interpreter lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function for the types of its first call, keeping its Python signature."""
    return cast("Callable[P, R]", njit(cache=True, nogil=True)(function))
