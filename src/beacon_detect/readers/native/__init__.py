"""Machine code of the readers' inner loops, from the Python they are written in."""

from __future__ import annotations
