"""What a plain function takes and gives, and how LLVM spells it.

A column is passed as its place and its length. Limit: results are integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class NotPlainError(Exception):
    """A function uses something that cannot be lowered."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives."""

    name: str
    parameters: Mapping[str, int]
    """Parameter -> bits of an element if it is a column, else 0."""
    results: int
    """Integers returned."""

    @property
    def result_type(self) -> str:
        """LLVM type of the result."""
        if self.results > 1:
            return "{" + ", ".join(["i64"] * self.results) + "}"
        return "i64" if self.results else "void"

    def declared(self) -> str:
        """Return the parameters as LLVM declares them; a column is its place and its length."""
        return ", ".join(
            f"ptr noalias %{name}.at, i64 %{name}.size" if bits else f"i64 %{name}.value"
            for name, bits in self.parameters.items()
        )

    def passed(self) -> str:
        """Return the parameters as a call passes them on."""
        return ", ".join(
            f"ptr %{name}.at, i64 %{name}.size" if bits else f"i64 %{name}.value"
            for name, bits in self.parameters.items()
        )
