"""One file a channel."""

from __future__ import annotations
