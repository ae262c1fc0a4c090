"""The two ways functions are compiled here: cached on disk, without the interpreter lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

ANY_ORDER = {"reassoc", "contract", "nsz", "nnan"}
"""What the compiler must be allowed: another order, fused products, no signed zeros, no NaN."""


def jit(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function for the types of its first call, keeping its Python signature.

    Division by zero is infinite, as in NumPy: a check for it inside a loop would
    keep the compiler from taking several numbers at once.
    """
    compiled = njit(function, cache=True, nogil=True, error_model="numpy")
    return cast("Callable[P, R]", compiled)


def reorderable(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function whose sums may be added up in any order.

    One after the other each addition waits for the one before; in any order the
    processor adds four or eight at once.  The result differs by rounding only.
    For loops over positions without branches (``&`` and ``x * condition``, not
    ``and`` and ``if``), which are the ones the compiler widens so.  NaN must not occur.
    """
    compiled = njit(function, cache=True, nogil=True, error_model="numpy", fastmath=ANY_ORDER)
    return cast("Callable[P, R]", compiled)
