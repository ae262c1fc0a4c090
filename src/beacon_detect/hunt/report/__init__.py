"""The report: one self-contained page with what was found and the pictures that show why."""

from __future__ import annotations
