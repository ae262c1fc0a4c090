"""The detection core: pure functions over arrays of times."""

from __future__ import annotations
