"""Names for what the kernel numbers: processes and containers."""

from __future__ import annotations
