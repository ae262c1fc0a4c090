"""The HTTP API under /api/v1."""

from __future__ import annotations
